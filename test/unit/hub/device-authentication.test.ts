import { describe, expect, test } from 'vitest';
import { readAuthentication } from '../../../src/hub/device-authentication.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';

const key = (byte: number, size = 32): string => Buffer.alloc(size, byte).toString('base64');
const sas = { type: 'sas', primaryKey: key(1), secondaryKey: key(2) } as const;
const sha1 = 'ab'.repeat(20);
const sha256 = 'CD'.repeat(32);
const read = (body: Parameters<typeof readAuthentication>[0], current?: Parameters<typeof readAuthentication>[1]) =>
  readAuthentication(body, current, new FakeIds());
const refusal = (sentence: string) => expect.objectContaining({ error: 'ArgumentInvalid', message: expect.stringContaining(sentence) });

describe('sas', () => {
  test.each([
    ['no authentication', undefined],
    ['null keys, as the CLI sends', { type: 'sas', symmetricKey: { primaryKey: null, secondaryKey: null } }],
    ['empty keys, as Node sends', { symmetricKey: { primaryKey: '', secondaryKey: '' } }],
  ] as const)('%s gets two different keys of 32 bytes', (_, body) => {
    const made = read(body);
    expect(made.type).toBe('sas');
    expect([made.primaryKey, made.secondaryKey].map((text) => Buffer.from(text ?? '', 'base64').length)).toEqual([32, 32]);
    expect(made.primaryKey).not.toBe(made.secondaryKey);
  });

  test('given keys are kept as they are', () => {
    expect(read({ symmetricKey: { primaryKey: key(7), secondaryKey: key(8, 64) } })).toEqual({
      type: 'sas',
      primaryKey: key(7),
      secondaryKey: key(8, 64),
    });
  });

  test('keys that an update leaves out stay', () => {
    expect(read({ type: 'sas', symmetricKey: { primaryKey: key(7) } }, sas)).toEqual({ ...sas, primaryKey: key(7) });
    expect(read(undefined, sas)).toEqual(sas);
  });

  test.each([
    ['too short', key(1, 15)],
    ['too long', key(1, 65)],
    ['not base64', 'not base64 at all, really!'],
    ['without padding', key(1).replace('=', '')],
  ])('a key that is %s is refused by name', (_, primaryKey) => {
    expect(() => read({ symmetricKey: { primaryKey } })).toThrow(refusal('authentication.symmetricKey.primaryKey'));
  });
});

describe('selfSigned', () => {
  test('thumbprints are kept in upper case, SHA-1 and SHA-256', () => {
    expect(read({ x509Thumbprint: { primaryThumbprint: sha1, secondaryThumbprint: sha256 } })).toEqual({
      type: 'selfSigned',
      primaryThumbprint: sha1.toUpperCase(),
      secondaryThumbprint: sha256,
    });
  });

  test('needs a primary thumbprint', () => {
    expect(() => read({ type: 'selfSigned' })).toThrow(refusal('primaryThumbprint is required'));
    expect(() => read({ x509Thumbprint: { secondaryThumbprint: sha1 } })).toThrow(refusal('primaryThumbprint is required'));
  });

  test.each(['abc', 'zz'.repeat(20), 'ab'.repeat(21)])('%s is no thumbprint', (primaryThumbprint) => {
    expect(() => read({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint } })).toThrow(refusal('primaryThumbprint must be'));
  });

  test('an update with only a primary takes the secondary away', () => {
    const current = { type: 'selfSigned', primaryThumbprint: sha256, secondaryThumbprint: sha256 } as const;
    expect(read({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint: sha1, secondaryThumbprint: null } }, current)).toEqual({
      type: 'selfSigned',
      primaryThumbprint: sha1.toUpperCase(),
    });
    expect(read({ type: 'selfSigned' }, current)).toEqual(current);
  });
});

describe('change of type', () => {
  test('drops the secrets of the old one', () => {
    expect(read({ type: 'certificateAuthority' }, sas)).toEqual({ type: 'certificateAuthority' });
    expect(read({ type: 'none' }, sas)).toEqual({ type: 'none' });
    expect(read({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint: sha1 } }, sas)).toEqual({
      type: 'selfSigned',
      primaryThumbprint: sha1.toUpperCase(),
    });
  });

  test('back to sas makes new keys', () => {
    const back = read({ type: 'sas' }, { type: 'selfSigned', primaryThumbprint: sha256 });
    expect(back).not.toHaveProperty('primaryThumbprint');
    expect(back.primaryKey).toMatch(/=$/u);
  });
});
