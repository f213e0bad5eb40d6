import { createSasToken } from '../../access/sas-token.ts';
import { instant } from '../../kernel/clock.ts';
import type { DeviceDoor } from './door.ts';

const lifetimeSeconds = 3600;

/** The token of a device with a key, for one resource; `undefined` for one with a certificate. */
function tokenFor({ symmetricKey }: DeviceDoor, resource: string, keyName?: string): string | undefined {
  if (symmetricKey === undefined) return undefined;
  const expiresAt = instant(Date.now() + lifetimeSeconds * 1000);
  return createSasToken({ resource, base64Key: symmetricKey, expiresAt, ...(keyName === undefined ? {} : { keyName }) });
}

/** For the provisioning service (reference 1.7). */
export const registrationToken = (
  door: DeviceDoor,
  { idScope, registrationId }: { readonly idScope: string; readonly registrationId: string },
) => tokenFor(door, `${idScope}/registrations/${registrationId}`, 'registration');

/** For the hub that the door belongs to (hub reference 2.1). */
export const deviceToken = (door: DeviceDoor, deviceId: string) => tokenFor(door, `${door.hostName}/devices/${deviceId}`, door.keyName);
