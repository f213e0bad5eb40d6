import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { tpmDeviceKeys } from '../tpm/device-keys.ts';
import { parseStorageKey, type StorageKey } from '../tpm/public-area.ts';
import { sealKey, type TpmIdentity } from '../tpm/seal-key.ts';
import { TpmFormatError } from '../tpm/tpm-format-error.ts';
import type { Verdict } from './admission.ts';
import type { Attempt, Refused } from './attempt.ts';
import { beginAttempt, readBodyOf } from './begin-attempt.ts';
import type { DecisionLog } from './decision-log.ts';
import { judgeAddress } from './ip-filter.ts';
import type { Judge } from './judge.ts';
import type { ProvisioningStorage } from './ports.ts';
import { renderDisabled } from './render-registration.ts';
import type { DeviceRequest, TpmAnswer, TpmChallenges } from './service.ts';
import type { Throttling } from './throttling.ts';

/** Storage root keys that are remembered for one device: its own, and what it had before its TPM was cleared. */
const rememberedRoots = 4;
const secretBytes = 32;

export interface TpmChallengeDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly judge: Judge;
  readonly decisionLog: DecisionLog;
  readonly throttling: Throttling;
  readonly log: Logger;
}

/** The first half of attestation with a TPM: keys sealed for whoever holds the TPM (2.6). */
export function createTpmChallenges(deps: TpmChallengeDependencies): TpmChallenges {
  return {
    async challenge(request) {
      const { tpm } = readBodyOf(request);
      if (tpm === undefined) throw new ServiceError('DpsBadRequest', 'tpm.endorsementKey is missing.');
      return await answer(deps, await ask(deps, { ...request, credentials: { certificates: [], tpm } }));
    },

    async sealedKey({ endorsementKey, storageRootKey, ...device }) {
      const identity = { endorsementKey: readKey(endorsementKey), storageRootKey: readKey(storageRootKey) };
      const request = { ...device, credentials: { certificates: [], tpm: { endorsementKey, storageRootKey } } };
      const { attempt, verdict } = await ask(deps, request);
      if (verdict.kind === 'refuse' && isAddressRefused(attempt)) return await refuse(deps, attempt, verdict);
      return await seal(deps, { instance: attempt.instance.name, registrationId: device.registrationId, identity });
    },
  };
}

interface Asked {
  readonly attempt: Attempt;
  readonly verdict: Verdict;
}

/** What holds for a challenge on either wire. For an enrolled device it counts as a registration; strangers use nothing up. */
async function ask(deps: TpmChallengeDependencies, request: DeviceRequest): Promise<Asked> {
  const attempt = await beginAttempt(deps, request, 'register');
  const { verdict } = await deps.judge(deps.storage.read, attempt);
  if (verdict.kind !== 'refuse') await deps.throttling.registration(attempt);
  return { attempt, verdict };
}

function isAddressRefused({ instance: { ipFilterRules }, request: { peer } }: Attempt): boolean {
  return !judgeAddress(ipFilterRules, { target: 'deviceApi', remoteAddress: peer.remoteAddress }).accepted;
}

async function refuse({ storage, decisionLog, clock }: TpmChallengeDependencies, attempt: Attempt, verdict: Refused): Promise<never> {
  await storage.write((transaction) => decisionLog.record(transaction, attempt, { verdict, at: clock.now() }));
  throw new ServiceError(verdict.error, verdict.message, { detail: verdict.detail, trackingId: attempt.trackingId });
}

async function answer(deps: TpmChallengeDependencies, { attempt, verdict }: Asked): Promise<TpmAnswer> {
  const { storage, decisionLog, clock } = deps;
  if (verdict.kind === 'refuse') return await refuse(deps, attempt, verdict);
  const { instance, request, trackingId } = attempt;
  await storage.write(async (transaction) => {
    const at = clock.now();
    await decisionLog.record(transaction, attempt, { verdict, at });
    if (verdict.kind !== 'challenge') return;
    const { bytes: storageRootKey } = verdict.identity.storageRootKey;
    await transaction.tpm.rememberStorageRootKey(
      { instance: instance.name, registrationId: request.registrationId, storageRootKey, at },
      rememberedRoots,
    );
  });
  switch (verdict.kind) {
    case 'challenge': {
      const sealed = await seal(deps, { instance: instance.name, registrationId: request.registrationId, identity: verdict.identity });
      return { kind: 'challenge', authenticationKey: Buffer.from(sealed).toString('base64'), keyName: 'registration', trackingId };
    }
    case 'disabled': {
      const registrationState = renderDisabled(request.registrationId);
      return { kind: 'disabled', body: { operationId: '', status: 'disabled', registrationState } };
    }
    default:
      throw new Error('a device was admitted by its public keys alone');
  }
}

async function seal(
  deps: TpmChallengeDependencies,
  { instance, registrationId, identity }: { readonly instance: string; readonly registrationId: string; readonly identity: TpmIdentity },
): Promise<Uint8Array> {
  const keys = tpmDeviceKeys(await secretOf(deps, instance), {
    registrationId,
    endorsementKey: identity.endorsementKey.bytes,
    storageRootKey: identity.storageRootKey.bytes,
  });
  return sealKey(identity, Buffer.from(keys.registration, 'base64'), (length) => deps.ids.bytes(length));
}

/** Made when the first TPM comes. What another connection stored in the meantime stays. */
async function secretOf({ storage, ids }: TpmChallengeDependencies, instance: string): Promise<Uint8Array> {
  const known = await storage.read.tpm.secret(instance);
  if (known !== undefined) return known;
  return await storage.write(async ({ tpm }) => {
    await tpm.putSecret(instance, ids.bytes(secretBytes));
    const stored = await tpm.secret(instance);
    if (stored === undefined) throw new Error('the secret that was just stored is not there');
    return stored;
  });
}

function readKey(bytes: Uint8Array): StorageKey {
  try {
    return parseStorageKey(bytes);
  } catch (error) {
    if (error instanceof TpmFormatError)
      throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail: `The key of the TPM cannot be read, ${error.message}.` });
    throw error;
  }
}
