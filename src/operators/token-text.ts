import { createHash, timingSafeEqual } from 'node:crypto';

import type { Ids } from '../kernel/ids.ts';

/** A token as its owner has it: it names itself, so that its digest is found without a search. */
export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

const pattern = /^muster_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/u;

export function makeToken(ids: Ids): TokenParts & { readonly text: string } {
  const id = Buffer.from(ids.bytes(6)).toString('hex');
  const secret = Buffer.from(ids.bytes(32)).toString('base64url');
  return { id, secret, text: `muster_${id}_${secret}` };
}

/** `undefined` for what is no token of ours. */
export function parseToken(text: string): TokenParts | undefined {
  const [, id, secret] = pattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Lower-case hex. The secret is 256 random bits, so one round of a plain digest keeps it. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

/** Takes as long whatever differs: two digests always have the same length. */
export function isDigestOf(secret: string, digest: string): boolean {
  const given = Buffer.from(digestOf(secret), 'hex');
  const kept = Buffer.from(digest, 'hex');
  return given.length === kept.length && timingSafeEqual(given, kept);
}
