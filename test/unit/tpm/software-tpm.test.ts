import { createHmac, randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { parseStorageKey } from '../../../src/tpm/public-area.ts';
import { sealKey } from '../../../src/tpm/seal-key.ts';
import { noSoftwareTpm, type SoftwareTpm, startSoftwareTpm } from '../../fixtures/software-tpm.ts';

// What is sealed here is opened by a real TPM 2.0 in software: TPM2_ActivateCredential, TPM2_Import, TPM2_Load, TPM2_HMAC.

describe.skipIf(noSoftwareTpm !== undefined)(`a key sealed for a TPM${noSoftwareTpm === undefined ? '' : ` (${noSoftwareTpm})`}`, () => {
  let tpm: SoftwareTpm;
  let other: SoftwareTpm;
  beforeAll(async () => {
    [tpm, other] = await Promise.all([startSoftwareTpm(), startSoftwareTpm()]);
  });
  afterAll(async () => {
    await Promise.all([tpm?.close(), other?.close()]);
  });

  const identityOf = ({ endorsementKey, storageRootKey }: Pick<SoftwareTpm, 'endorsementKey' | 'storageRootKey'>) => ({
    endorsementKey: parseStorageKey(endorsementKey),
    storageRootKey: parseStorageKey(storageRootKey),
  });

  test('signs in that TPM as it would outside', async () => {
    const key = randomBytes(32);
    const opened = await tpm.activate(sealKey(identityOf(tpm), key, randomBytes));
    expect(await opened.hmac('scope/registrations/id\n1')).toEqual(createHmac('sha256', key).update('scope/registrations/id\n1').digest());
  });

  test('is not opened by another TPM', async () => {
    await expect(other.activate(sealKey(identityOf(tpm), randomBytes(32), randomBytes))).rejects.toThrow(/activatecredential/u);
  });

  test('is not opened by the right endorsement key beside another storage root key', async () => {
    const mixed = { endorsementKey: tpm.endorsementKey, storageRootKey: other.storageRootKey };
    await expect(tpm.activate(sealKey(identityOf(mixed), randomBytes(32), randomBytes))).rejects.toThrow(/activatecredential/u);
  });

  test('is not opened once a bit was changed', async () => {
    const blob = sealKey(identityOf(tpm), randomBytes(32), randomBytes);
    const duplicateAt = blob.length - 400;
    blob.writeUInt8(blob.readUInt8(duplicateAt) ^ 1, duplicateAt);
    await expect(tpm.activate(blob)).rejects.toThrow(/tpm2_/u);
  });
});
