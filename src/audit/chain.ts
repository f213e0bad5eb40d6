import { createHash } from 'node:crypto';

import type { AuditEntry, AuditFlaw, AuditHead } from '../contracts/audit/audit-entry.ts';
import { canonicalJson } from './canonical-json.ts';

/** Where a chain begins that nothing was removed from. */
export const chainStart: AuditHead = { sequence: 0, hash: '0'.repeat(64) };

/** Where a chain is broken. */
export interface ChainFlaw {
  readonly sequence: number;
  readonly reason: AuditFlaw;
  readonly sentence: string;
}

/** Puts an entry behind another one. */
export function linkEntry(entry: Omit<AuditEntry, 'sequence' | 'previousHash' | 'hash'>, previous: AuditHead): AuditEntry {
  const linked = { ...entry, sequence: previous.sequence + 1, previousHash: previous.hash };
  return { ...linked, hash: hashOf(linked) };
}

/** The hash covers the whole entry, the hash of the one before included. */
export function hashOf(entry: Omit<AuditEntry, 'hash'>): string {
  return createHash('sha256').update(canonicalJson(entry), 'utf8').digest('hex');
}

/** Entries in their order, one by one; says where the first flaw is. */
export interface ChainCheck {
  next(entry: AuditEntry): ChainFlaw | undefined;
  /** The last one that was good. */
  readonly at: AuditHead;
}

export function checkChain(start: AuditHead): ChainCheck {
  let at = start;
  return {
    get at() {
      return at;
    },
    next(entry) {
      const flaw = flawOf(entry, at);
      if (flaw === undefined) at = { sequence: entry.sequence, hash: entry.hash };
      return flaw;
    },
  };
}

function flawOf(entry: AuditEntry, previous: AuditHead): ChainFlaw | undefined {
  const expected = previous.sequence + 1;
  if (entry.sequence !== expected) return flaw(expected, 'missing', `Entry ${expected} is missing: ${entry.sequence} follows.`);
  const { hash, ...content } = entry;
  if (entry.previousHash !== previous.hash) {
    return flaw(expected, 'unlinked', `Entry ${expected} was written behind another entry than the one that is there now.`);
  }
  if (hashOf(content) !== hash) return flaw(expected, 'changed', `Entry ${expected} is not as it was written.`);
  return undefined;
}

function flaw(sequence: number, reason: AuditFlaw, sentence: string): ChainFlaw {
  return { sequence, reason, sentence };
}
