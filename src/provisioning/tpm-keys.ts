import { tpmDeviceKeys } from '../tpm/device-keys.ts';
import { parseStorageKey, type StorageKey } from '../tpm/public-area.ts';
import { TpmFormatError } from '../tpm/tpm-format-error.ts';
import type { PresentedTpm, TpmKeyCandidate } from './attestation/attestation.ts';
import type { EnrollmentRow, TpmStore } from './ports.ts';

/**
 * The keys that may have signed the token of an enrolled TPM: one for each storage root key that could be its own. Clients
 * need not repeat it with the token, so those that came with its last challenges are tried; at most a handful.
 */
export async function findTpmKeys(
  store: TpmStore,
  query: {
    readonly instance: string;
    readonly registrationId: string;
    readonly entry: EnrollmentRow;
    readonly presented: PresentedTpm | undefined;
  },
): Promise<readonly TpmKeyCandidate[]> {
  const { instance, registrationId, entry, presented } = query;
  const secret = await store.secret(instance);
  if (entry.attestation.type !== 'tpm' || secret === undefined) return [];
  const endorsementKey = Buffer.from(entry.attestation.endorsementKey, 'base64');
  const enrolled = entry.attestation.storageRootKey;
  const roots =
    presented?.storageRootKey !== undefined
      ? [presented.storageRootKey.bytes]
      : await knownRoots(store, { instance, registrationId, enrolled });
  return roots.flatMap(readable).map((storageRootKey) => ({
    storageRootKey,
    keys: tpmDeviceKeys(secret, { registrationId, endorsementKey, storageRootKey: storageRootKey.bytes }),
  }));
}

async function knownRoots(
  store: TpmStore,
  {
    instance,
    registrationId,
    enrolled,
  }: { readonly instance: string; readonly registrationId: string; readonly enrolled: string | undefined },
): Promise<readonly Uint8Array[]> {
  if (enrolled !== undefined) return [Buffer.from(enrolled, 'base64')];
  return await store.storageRootKeys(instance, registrationId);
}

/** An enrolled key that cannot be used is told of where the enrollment is judged. */
function readable(bytes: Uint8Array): readonly StorageKey[] {
  try {
    return [parseStorageKey(bytes)];
  } catch (error) {
    if (error instanceof TpmFormatError) return [];
    throw error;
  }
}
