import { createHmac } from 'node:crypto';

import type { AuditHead } from '../contracts/audit/audit-entry.ts';

/** What the audit trail does with the key of the installation, which is not in its database. */
export interface AuditKeys {
  /** Stands for a secret: the same for the same one, and no help in guessing it. */
  fingerprint(secret: string): string;
  /** Proves that whoever wrote this head had the key. */
  seal(head: AuditHead): string;
}

/** `key` is random, of 32 bytes. */
export function createAuditKeys(key: Uint8Array): AuditKeys {
  const part = (purpose: string): Buffer => createHmac('sha256', key).update(`muster audit ${purpose}`).digest();
  const [fingerprints, seals] = [part('fingerprints'), part('seals')];
  return {
    fingerprint: (secret) => `hmac:${createHmac('sha256', fingerprints).update(secret, 'utf8').digest('hex').slice(0, 16)}`,
    seal: ({ sequence, hash }) => createHmac('sha256', seals).update(`${sequence}:${hash}`).digest('hex'),
  };
}
