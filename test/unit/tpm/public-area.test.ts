import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseStorageKey } from '../../../src/tpm/public-area.ts';
import { TpmFormatError } from '../../../src/tpm/tpm-format-error.ts';
import { endorsementKeyFields, renderStorageKey, type StorageKeyFields, storageRootKeyFields } from '../../fixtures/storage-key.ts';

const endorsement = endorsementKeyFields();
const root = storageRootKeyFields();
const whole = renderStorageKey(endorsement);

describe('a storage key', () => {
  test.each([
    ['an endorsement key', endorsement],
    ['a storage root key', root],
    ['a key that spells its exponent', { ...root, exponent: 65_537 }],
  ])('%s is read', (_, fields) => {
    const bytes = renderStorageKey(fields);
    const key = parseStorageKey(bytes);
    expect(Buffer.from(key.bytes)).toEqual(bytes);
    expect(Buffer.from(key.name)).toEqual(
      Buffer.concat([Buffer.from('000b', 'hex'), createHash('sha256').update(bytes.subarray(2)).digest()]),
    );
    expect(key.publicKey.export({ format: 'jwk' })).toMatchObject({ n: Buffer.from(fields.modulus).toString('base64url'), e: 'AQAB' });
  });

  const bent: Readonly<Record<string, Partial<StorageKeyFields>>> = {
    'an elliptic curve': { type: 0x0023 },
    'a name by SHA-1': { nameAlgorithm: 0x0004 },
    'a key that may leave its TPM': { attributes: 0x0003_00b0 },
    'a key that may be duplicated': { attributes: 0x0003_00a2 },
    'a key that is not restricted': { attributes: 0x0002_00b2 },
    'a key that does not decrypt': { attributes: 0x0001_00b2 },
    'a key that signs': { attributes: 0x0007_00b2 },
    'half a policy': { policy: Buffer.alloc(20) },
    'another cipher': { symmetric: [0x0006, 256, 0x0043] },
    'a scheme': { scheme: 0x0017 },
    'another size': { keyBits: 1024 },
    'another exponent': { exponent: 3 },
    'a short modulus': { modulus: Buffer.alloc(128, 0xff) },
    'an even modulus': { modulus: Buffer.alloc(256, 0xfe) },
    'a small modulus': { modulus: Buffer.alloc(256, 0x01) },
  };
  test.each(Object.entries(bent))('%s is refused', (_, change) =>
    expect(() => parseStorageKey(renderStorageKey({ ...endorsement, ...change }))).toThrow(TpmFormatError),
  );

  test('is refused with anything cut off or behind it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (length) => {
        expect(() => parseStorageKey(whole.subarray(0, length))).toThrow(TpmFormatError);
      }),
    );
    expect(() => parseStorageKey(Buffer.concat([whole, Buffer.alloc(1)]))).toThrow(TpmFormatError);
    expect(() => parseStorageKey(Buffer.concat([whole, Buffer.alloc(1024)]))).toThrow('it is too long');
  });

  test('bytes of any kind are read or refused, and never anything else', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, flip]) => {
        const changed = Buffer.from(whole);
        changed.writeUInt8(changed.readUInt8(at) ^ flip, at);
        return changed;
      }),
    );
    fc.assert(
      fc.property(bytes, (candidate) => {
        try {
          expect(Buffer.from(parseStorageKey(candidate).bytes)).toEqual(Buffer.from(candidate));
        } catch (error) {
          expect(error).toBeInstanceOf(TpmFormatError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
