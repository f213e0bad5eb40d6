import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { tpmDeviceKeys } from '../tpm/device-keys.ts';
import { parseStorageKey, type StorageKey } from '../tpm/public-area.ts';
import { sealKey, type TpmIdentity } from '../tpm/seal-key.ts';
import { TpmFormatError } from '../tpm/tpm-format-error.ts';
import type { Attempt } from './attempt.ts';
import { beginAttempt, isSameId, readBodyOf } from './begin-attempt.ts';
import type { DecisionLog } from './decision-log.ts';
import type { Judge } from './judge.ts';
import type { ProvisioningStorage } from './ports.ts';
import { renderDisabled } from './render-registration.ts';
import type { TpmAnswer, TpmChallenges } from './service.ts';

/** Storage root keys that are remembered for one device: its own, and what it had before its TPM was cleared. */
const rememberedRoots = 4;
const secretBytes = 32;

export interface TpmChallengeDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly judge: Judge;
  readonly decisionLog: DecisionLog;
  readonly log: Logger;
}

/** The first half of attestation with a TPM: keys sealed for whoever holds the TPM (2.6). */
export function createTpmChallenges(deps: TpmChallengeDependencies): TpmChallenges {
  return {
    async challenge(request) {
      const { tpm } = readBodyOf(request);
      if (tpm === undefined) throw new ServiceError('DpsBadRequest', 'tpm.endorsementKey is missing.');
      const attempt = await beginAttempt(deps, { ...request, credentials: { certificates: [], tpm } }, 'register');
      return await answer(deps, attempt);
    },

    async sealedKey({ idScope, registrationId, ...presented }) {
      const identity = { endorsementKey: readKey(presented.endorsementKey), storageRootKey: readKey(presented.storageRootKey) };
      const instances = await deps.storage.read.instances.list();
      const instance = instances.find((candidate) => isSameId(candidate.idScope, idScope));
      if (instance === undefined)
        throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail: 'No provisioning service has this id scope.' });
      return await seal(deps, { instance: instance.name, registrationId, identity });
    },
  };
}

async function answer(deps: TpmChallengeDependencies, attempt: Attempt): Promise<TpmAnswer> {
  const { storage, judge, decisionLog, clock } = deps;
  const { verdict } = await judge(storage.read, attempt);
  const { instance, request, trackingId } = attempt;
  await storage.write(async ({ tpm, decisions }) => {
    const at = clock.now();
    await decisionLog.record(decisions, attempt, { verdict, at });
    if (verdict.kind !== 'challenge') return;
    const { bytes: storageRootKey } = verdict.identity.storageRootKey;
    await tpm.rememberStorageRootKey(
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
    case 'refuse':
      throw new ServiceError(verdict.error, verdict.message, { detail: verdict.detail, trackingId });
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
