import { deriveDeviceKey } from '../../access/device-key.ts';
import { createSasToken, parseSasToken, type SasToken } from '../../access/sas-token.ts';
import { type Instant, minutes, plus } from '../../kernel/clock.ts';
import type { ProvisioningInstance, ProvisioningTransaction } from '../ports.ts';
import { findTpmKeys } from '../tpm-keys.ts';

export type TokenStores = Pick<ProvisioningTransaction, 'enrollments' | 'registrations' | 'tpm'>;

export interface RegistrationToken {
  readonly token: SasToken;
  /** Signed with the key of the device. Otherwise nobody here knows its key, and nothing but the ids of the token is right. */
  readonly isOwn: boolean;
}

/** What a device without a certificate would sign to register: with its own key, the one derived from its group's, or its TPM's. */
export async function registrationToken(
  stores: TokenStores,
  { instance, registrationId, at }: { readonly instance: ProvisioningInstance; readonly registrationId: string; readonly at: Instant },
): Promise<RegistrationToken> {
  const key = await keyOf(stores, instance.name, registrationId);
  const resource = `${instance.idScope}/registrations/${registrationId}`;
  const token = parseSasToken(createSasToken({ resource, base64Key: key ?? '', expiresAt: plus(at, minutes(1)) }));
  if (token === undefined) throw new Error('a token that was just made cannot be read');
  return { token, isOwn: key !== undefined };
}

async function keyOf(stores: TokenStores, instance: string, registrationId: string): Promise<string | undefined> {
  const individual = await stores.enrollments.get('individual', instance, registrationId);
  if (individual?.attestation.type === 'symmetricKey') return individual.attestation.primaryKey;
  if (individual?.attestation.type === 'tpm') {
    const [latest] = await findTpmKeys(stores.tpm, { instance, registrationId, entry: individual, presented: undefined });
    return latest?.keys.registration;
  }
  const record = await stores.registrations.get(instance, registrationId);
  if (record?.enrollmentKind !== 'group') return undefined;
  const group = await stores.enrollments.get('group', instance, record.enrollmentId);
  if (group?.attestation.type !== 'symmetricKey') return undefined;
  return deriveDeviceKey(Buffer.from(group.attestation.primaryKey, 'base64'), registrationId);
}
