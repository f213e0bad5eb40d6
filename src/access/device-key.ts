import { createHmac } from 'node:crypto';

/**
 * The key of one device of an enrollment group: base64 of HMAC-SHA256 over the registration id, keyed with the decoded
 * group key (DPS chapter 2.2). The id is taken as it is spelled: az and the SDK samples hash what the operator typed.
 */
export function deriveDeviceKey(groupKey: Uint8Array, registrationId: string): string {
  return createHmac('sha256', groupKey).update(registrationId, 'utf8').digest('base64');
}
