import { isSignedBy, parseSasToken, type SasToken } from '../access/sas-token.ts';
import { clockSkew, isExpired } from '../access/shared-access.ts';
import { coversPath } from '../access/token-paths.ts';
import { resourceOf } from '../contracts/hub/identity-path.ts';
import { type Instant, plus } from '../kernel/clock.ts';
import type { DeviceRow, HubPolicyRow } from './ports.ts';
import type { ProofRefusal, ProofVerdict } from './proof.ts';
import { keyStamp, policyStamp } from './stamps.ts';

/** Judges a SAS token, signed with a key of the device or of a policy that may connect devices (chapter 2.1). */
export function judgeToken(request: {
  readonly device: DeviceRow;
  readonly sasToken: string;
  readonly policies: readonly HubPolicyRow[];
  /** Whether this host name stands for the hub; a token names the host that its client dialled. */
  readonly isOwnHost: (host: string) => boolean;
  readonly now: Instant;
}): ProofVerdict {
  const { device, policies, now } = request;
  const token = parseSasToken(request.sasToken);
  if (token === undefined) return { ok: false, reason: 'token-malformed' };
  const signers = token.keyName === undefined ? deviceSigners(device) : policySigners(token.keyName, policies);
  // The signature first: without the key nobody learns what else would have been wrong.
  const signedWith = signers.keys.filter((key) => isSignedBy(token, [key]));
  if (signedWith.length === 0) return { ok: false, reason: signers.refusal };
  if (!covers(token, device, request.isOwnHost))
    return { ok: false, reason: 'token-resource', detail: `the token is for ${token.resource}` };
  if (isExpired(token.expiresAt, now)) return { ok: false, reason: 'token-expired' };
  if (!signers.mayConnect) return { ok: false, reason: 'token-right', detail: `policy ${token.keyName ?? ''} lacks DeviceConnect` };
  const { keyName } = token;
  const stamps = signedWith.map((key) => (keyName === undefined ? keyStamp(device, key) : policyStamp(device.hub, keyName, key)));
  return { ok: true, method: 'sas', scope: keyName === undefined ? 'device' : 'hub', stamps, expiresAt: endOf(token, now) };
}

interface Signers {
  readonly keys: readonly string[];
  readonly mayConnect: boolean;
  /** What it means when none of the keys made the signature. */
  readonly refusal: ProofRefusal;
}

function deviceSigners({ authentication: { type, primaryKey, secondaryKey } }: DeviceRow): Signers {
  const keys = [primaryKey, secondaryKey].filter((key) => key !== undefined);
  if (type !== 'sas' || keys.length === 0) return { keys: [], mayConnect: false, refusal: 'token-not-accepted' };
  return { keys, mayConnect: true, refusal: 'token-signature' };
}

function policySigners(keyName: string, policies: readonly HubPolicyRow[]): Signers {
  const policy = policies.find((candidate) => candidate.keyName.toLowerCase() === keyName.toLowerCase());
  if (policy === undefined) return { keys: [], mayConnect: false, refusal: 'token-policy' };
  return {
    keys: [policy.primaryKey, policy.secondaryKey],
    mayConnect: policy.rights.includes('DeviceConnect'),
    refusal: 'token-signature',
  };
}

function covers(token: SasToken, { deviceId }: DeviceRow, isOwnHost: (host: string) => boolean): boolean {
  const [host = ''] = token.resource.split('/');
  return isOwnHost(host) && coversPath(token, ['devices', ...resourceOf(deviceId).split('/')]);
}

/** A token that is good for longer ends the proof on time; one that ended within the clocks' difference, with that. */
function endOf({ expiresAt }: SasToken, now: Instant): Instant {
  return expiresAt > now ? expiresAt : plus(expiresAt, clockSkew);
}
