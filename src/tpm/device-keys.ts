import { createHmac } from 'node:crypto';

import { sized } from './structure.ts';

/** Keys of one TPM, base64. Each is for one use, so that who may read a hub's keys cannot register. */
export interface TpmDeviceKeys {
  /** Signs tokens for the provisioning service. */
  readonly registration: string;
  /** What the device signs with at its hub, and a second one that nobody is given. */
  readonly hubPrimary: string;
  readonly hubSecondary: string;
}

/**
 * The keys of the TPM with these two keys under a registration id. They follow from `secret`, so nothing has to be kept
 * between the challenge and the request that answers it, on whatever connection and after whatever restart; and who asks
 * for challenges in the name of others changes nothing for them. `secret` is at least 32 random bytes.
 */
export function tpmDeviceKeys(
  secret: Uint8Array,
  device: { readonly registrationId: string; readonly endorsementKey: Uint8Array; readonly storageRootKey: Uint8Array },
): TpmDeviceKeys {
  const of = (use: string): string =>
    createHmac('sha256', secret)
      .update(sized(Buffer.from(use)))
      .update(sized(Buffer.from(device.registrationId.toLowerCase())))
      .update(sized(device.endorsementKey))
      .update(sized(device.storageRootKey))
      .digest('base64');
  return { registration: of('registration'), hubPrimary: of('hub primary'), hubSecondary: of('hub secondary') };
}
