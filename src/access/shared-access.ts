import { createHash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { type Instant, milliseconds, minutes, plus } from '../kernel/clock.ts';
import { coversResource, isSignedBy, parseSasToken, type SasToken } from './sas-token.ts';

/** A shared access policy: two keys and the rights they give. */
export interface SharedAccessPolicy {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

export type SharedAccessRefusal = 'missing' | 'malformed' | 'expired' | 'resource' | 'policy' | 'signature' | 'right';
export type SharedAccessVerdict =
  | {
      readonly ok: true;
      readonly keyName: string;
      /** Which of the policy's keys signed. */
      readonly key: 'primaryKey' | 'secondaryKey';
      readonly expiresAt: Instant;
    }
  | { readonly ok: false; readonly reason: SharedAccessRefusal };

/** Clocks of clients and service may differ by this much (hub reference 2.1.5; IoT Edge signs for 30 seconds only). */
export const clockSkew = minutes(5);

/**
 * Judges a policy-signed token against what it is used for. The signature is checked before the right, so that nobody
 * learns a policy's rights without its key.
 */
export function checkSharedAccess(request: {
  readonly authorization: string | undefined;
  readonly policies: readonly SharedAccessPolicy[];
  /** `{host}/{path}` that the token must cover. */
  readonly resource: string;
  /** Any one of these is enough. */
  readonly rights: readonly string[];
  readonly now: Instant;
}): SharedAccessVerdict {
  if (request.authorization === undefined || request.authorization.trim() === '') return refuse('missing');
  const digest = createHash('sha256').update(request.authorization).digest('base64');
  const known = good.get(digest);
  const token = known?.token ?? parseSasToken(request.authorization);
  if (token === undefined) return refuse('malformed');
  const policy = request.policies.find((candidate) => candidate.keyName.toLowerCase() === token.keyName?.toLowerCase());
  if (policy === undefined) return refuse('policy');
  const key = signerOf(token, policy, known?.signedBy);
  if (key === undefined) return refuse('signature');
  if (known?.signedBy !== policy[key]) good.set(digest, { token, signedBy: policy[key] });
  if (isExpired(token.expiresAt, request.now)) return refuse('expired');
  if (!coversResource(token.resource, request.resource)) return refuse('resource');
  if (!request.rights.some((right) => policy.rights.includes(right))) return refuse('right');
  return { ok: true, keyName: policy.keyName, key, expiresAt: token.expiresAt };
}

/** Clients at a time, of which each signs a token an hour. */
const rememberedTokens = 1024;

/**
 * Tokens whose signature was good, by their digest, with the key that made it: a client shows the same one with every request.
 * That a key made a signature stays true; whether the policy still has that key, and the token is not over, is asked each time.
 */
const good = new LRUCache<string, { readonly token: SasToken; readonly signedBy: string }>({ max: rememberedTokens });

function signerOf(token: SasToken, policy: SharedAccessPolicy, knownKey: string | undefined): 'primaryKey' | 'secondaryKey' | undefined {
  // Both are our own: no secret is compared with what somebody sent.
  if (knownKey !== undefined && knownKey === policy.primaryKey) return 'primaryKey';
  if (knownKey !== undefined && knownKey === policy.secondaryKey) return 'secondaryKey';
  // Both are tried, whichever signed.
  const [primary, secondary] = [isSignedBy(token, [policy.primaryKey]), isSignedBy(token, [policy.secondaryKey])];
  if (primary) return 'primaryKey';
  return secondary ? 'secondaryKey' : undefined;
}

/** Whether a token's end lies further back than clocks may differ. */
export function isExpired(expiresAt: Instant, now: Instant): boolean {
  return now > plus(expiresAt, milliseconds(clockSkew));
}

function refuse(reason: SharedAccessRefusal): SharedAccessVerdict {
  return { ok: false, reason };
}
