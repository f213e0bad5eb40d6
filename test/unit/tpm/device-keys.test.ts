import { expect, test } from 'vitest';

import { tpmDeviceKeys } from '../../../src/tpm/device-keys.ts';

const secret = Buffer.alloc(32, 1);
const device = { registrationId: 'Dev-1', endorsementKey: Buffer.from('ek'), storageRootKey: Buffer.from('srk') };

test('the keys of a TPM are always the same, whatever the case of the id', () => {
  expect(tpmDeviceKeys(secret, device)).toEqual(tpmDeviceKeys(secret, { ...device, registrationId: 'dev-1' }));
});

test('every use, device, TPM and service has keys of its own', () => {
  const variants = [
    tpmDeviceKeys(secret, device),
    tpmDeviceKeys(Buffer.alloc(32, 2), device),
    tpmDeviceKeys(secret, { ...device, registrationId: 'dev-2' }),
    tpmDeviceKeys(secret, { ...device, endorsementKey: Buffer.from('eks'), storageRootKey: Buffer.from('rk') }),
    tpmDeviceKeys(secret, { ...device, storageRootKey: Buffer.from('other') }),
  ];
  const keys = variants.flatMap(({ registration, hubPrimary, hubSecondary }) => [registration, hubPrimary, hubSecondary]);
  expect(new Set(keys).size).toBe(keys.length);
  for (const key of keys) expect(Buffer.from(key, 'base64')).toHaveLength(32);
});
