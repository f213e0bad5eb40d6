import { deriveDeviceKey } from '../access/device-key.ts';
import { createSasToken, parseSasToken, type SasToken } from '../access/sas-token.ts';
import { resourceOf } from '../contracts/hub/identity-path.ts';
import type { DeviceRow, HubInstance } from '../hub/ports.ts';
import { type Instant, minutes, plus } from '../kernel/clock.ts';
import type { ProvisioningInstance } from '../provisioning/ports.ts';
import type { FleetStorage } from './ports.ts';

/** What a device or module would sign for its hub, good for a moment. */
export function hubToken({ deviceId, authentication }: DeviceRow, { hostName }: HubInstance, at: Instant): string {
  return createSasToken({
    resource: `${hostName}/devices/${resourceOf(deviceId)}`,
    base64Key: authentication.primaryKey ?? '',
    expiresAt: plus(at, minutes(1)),
  });
}

export interface RegistrationToken {
  readonly token: SasToken;
  /** Signed with the key of the device. Otherwise nobody here knows its key, and nothing but the ids of the token is right. */
  readonly isOwn: boolean;
}

/** What a device without a certificate would sign to register: with its own key, or the one derived from its group's. */
export async function registrationToken(
  read: FleetStorage['read'],
  { instance, registrationId, at }: { readonly instance: ProvisioningInstance; readonly registrationId: string; readonly at: Instant },
): Promise<RegistrationToken> {
  const key = await keyOf(read, instance.name, registrationId);
  const resource = `${instance.idScope}/registrations/${registrationId}`;
  const token = parseSasToken(createSasToken({ resource, base64Key: key ?? '', expiresAt: plus(at, minutes(1)) }));
  if (token === undefined) throw new Error('a token that was just made cannot be read');
  return { token, isOwn: key !== undefined };
}

async function keyOf(read: FleetStorage['read'], instance: string, registrationId: string): Promise<string | undefined> {
  const individual = await read.enrollments.get('individual', instance, registrationId);
  if (individual !== undefined) return individual.attestation.type === 'symmetricKey' ? individual.attestation.primaryKey : undefined;
  const record = await read.registrations.get(instance, registrationId);
  if (record?.enrollmentKind !== 'group') return undefined;
  const group = await read.enrollments.get('group', instance, record.enrollmentId);
  if (group?.attestation.type !== 'symmetricKey') return undefined;
  return deriveDeviceKey(Buffer.from(group.attestation.primaryKey, 'base64'), registrationId);
}
