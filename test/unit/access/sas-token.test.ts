import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkSharedAccess } from '../../../src/access/shared-access.ts';
import { coversResource, createSasToken, isSignedBy, parseSasToken } from '../../../src/access/sas-token.ts';
import { instant } from '../../../src/kernel/clock.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 8).toString('base64');

function tokenAs(resource: string, order: readonly string[]): string {
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n2000000000`).digest('base64');
  const fields: Record<string, string> = { sr: resource, sig: encodeURIComponent(signature), se: '2000000000', skn: 'owner' };
  return `SharedAccessSignature ${order.map((name) => `${name}=${fields[name]}`).join('&')}`;
}

describe('parse and verify', () => {
  test.each([
    ['C#: escaped, sr sig se skn', 'localhost%2fdevices%2fd1', ['sr', 'sig', 'se', 'skn']],
    ['Node: raw, sr sig skn se', 'localhost/devices/d1', ['sr', 'sig', 'skn', 'se']],
    ['any order', 'localhost%2Fdevices%2Fd1', ['se', 'skn', 'sig', 'sr']],
  ])('ok/%s', (_name, resource, order) => {
    const token = parseSasToken(tokenAs(resource, order));
    expect(token).toMatchObject({ resource: 'localhost/devices/d1', keyName: 'owner', expiresAt: 2_000_000_000_000 });
    expect(isSignedBy(token!, [otherKey, key])).toBe(true);
    expect(isSignedBy(token!, [otherKey])).toBe(false);
  });

  test.each([
    ['empty', ''],
    ['no scheme', 'sr=a&sig=b&se=1'],
    ['no signature', 'SharedAccessSignature sr=a&se=1'],
    ['expiry is not a number', 'SharedAccessSignature sr=a&sig=b&se=soon'],
    ['field twice', 'SharedAccessSignature sr=a&sr=b&sig=c&se=1'],
    ['broken escape', 'SharedAccessSignature sr=%zz&sig=c&se=1'],
    ['too long', `SharedAccessSignature sr=${'a'.repeat(5000)}&sig=c&se=1`],
  ])('refused/%s', (_name, text) => expect(parseSasToken(text)).toBeUndefined());

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSasToken(`SharedAccessSignature ${text}`)));
  });

  test('what is created is read back and verifies', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{1,10}(\/[A-Za-z0-9_.%!-]{1,12}){0,3}$/u),
        fc.uint8Array({ minLength: 16, maxLength: 64 }),
        (resource, bytes) => {
          const base64Key = Buffer.from(bytes).toString('base64');
          const token = parseSasToken(createSasToken({ resource, base64Key, expiresAt: instant(1_900_000_000_000), keyName: 'k' }));
          expect(token?.resource).toBe(resource);
          expect(isSignedBy(token!, [base64Key])).toBe(true);
        },
      ),
    );
  });
});

test.each([
  ['localhost', 'localhost/devices/d1', true],
  ['LOCALHOST:8443', 'localhost/devices/d1', true],
  ['localhost/a/b', 'localhost/a/b/c', true],
  ['localhost/a/b', 'localhost/a/bc', false],
  ['localhost/devices/D1', 'localhost/devices/d1', false],
  ['amqps://localhost:5671/', 'localhost/messages/events', true],
  ['localhost/devices/d1/?api-version=2021-04-12', 'localhost/devices/d1', true],
  ['local', 'localhost', false],
  ['localhost/devices/d1', 'localhost/devices/d1?x', false],
  ['localhost/devices/d1?x', 'localhost/devices/d1?x', true],
  ['localhost/devices/d1?x', 'localhost/devices/d1', false],
  ['localhost/devices/?x', 'localhost/devices/d1', false],
  ['localhost/?api-version=2021-04-12', 'localhost/devices/d1', true],
])('coversResource(%s, %s) is %s', (granted, wanted, expected) => expect(coversResource(granted, wanted)).toBe(expected));

describe('checkSharedAccess', () => {
  const policies = [{ keyName: 'reader', primaryKey: key, secondaryKey: otherKey, rights: ['Read'] }];
  const at = instant(1_800_000_000_000);
  const authorization = (overrides: Partial<Parameters<typeof createSasToken>[0]> = {}): string =>
    createSasToken({ resource: 'localhost', base64Key: key, expiresAt: instant(at + 60_000), keyName: 'reader', ...overrides });
  const check = (text: string | undefined, rights = ['Read']): unknown =>
    checkSharedAccess({ authorization: text, policies, resource: 'localhost/enrollments/a', rights, now: at });

  test('ok/either key', () => {
    expect(check(authorization())).toMatchObject({ ok: true, keyName: 'reader' });
    expect(check(authorization({ base64Key: otherKey }))).toMatchObject({ ok: true });
  });

  test.each([
    ['missing', undefined, ['Read']],
    ['malformed', 'Bearer x', ['Read']],
    ['policy', authorization({ keyName: 'nobody' }), ['Read']],
    ['signature', authorization({ base64Key: Buffer.alloc(32).toString('base64') }), ['Read']],
    ['expired', authorization({ expiresAt: instant(at - 301_000) }), ['Read']],
    ['resource', authorization({ resource: 'elsewhere' }), ['Read']],
    ['right', authorization(), ['Write']],
  ])('refused/%s', (reason, text, rights) => expect(check(text, rights)).toEqual({ ok: false, reason }));

  test('a token that ended within the clock skew still counts', () => {
    expect(check(authorization({ expiresAt: instant(at - 299_000) }))).toMatchObject({ ok: true });
  });
});
