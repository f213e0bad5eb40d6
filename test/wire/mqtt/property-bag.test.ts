import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePropertyBag } from '../../../src/transports/mqtt/hub/property-bag.ts';

const isSystem = (key: string): boolean => /^\$\.(mid|cid|uid|to|exp|ct|ce|on|ifid|sub|schema|ctime|diagid|diagctx)$/u.test(key);
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const key = text.filter((candidate) => candidate !== '' && !isSystem(candidate));
const encode = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');

test('ok/what an SDK encodes comes back, with any tail or head that SDKs add', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(key, text), { selector: ([name]) => name }),
      fc.constantFrom('', '?'),
      fc.constantFrom('', '/'),
      (pairs, head, tail) => {
        const { applicationProperties, systemProperties } = parsePropertyBag(`${head}${encode(pairs)}${tail}`);
        expect(new Map(Object.entries(applicationProperties))).toEqual(new Map(pairs));
        expect(systemProperties).toEqual({});
      },
    ),
  );
});

test('ok/any text either parses into strings or is refused by name', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (bag) => {
      try {
        const { applicationProperties, systemProperties } = parsePropertyBag(bag);
        for (const value of [...Object.values(applicationProperties), ...Object.values(systemProperties)]) {
          expect(typeof value).toBe('string');
        }
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'ServiceError', error: 'ArgumentInvalid' });
      }
    }),
  );
});

test('ok/system properties, encoded or not, by their AMQP names', () => {
  expect(parsePropertyBag('%24.mid=1&$.cid=c%2Fd&%24.ct=application%2Fjson&%24.ce=utf-8&%24.exp=2026-01-01T00%3A00%3A00Z&temp=20')).toEqual(
    {
      systemProperties: {
        'message-id': '1',
        'correlation-id': 'c/d',
        'content-type': 'application/json',
        'content-encoding': 'utf-8',
        'absolute-expiry-time': '2026-01-01T00:00:00Z',
      },
      applicationProperties: { temp: '20' },
    },
  );
});

test.each([
  ['a plus is a plus', 'a=1+1', { a: '1+1' }],
  ['a key without =', 'alone', { alone: '' }],
  ['an empty value', 'empty=', { empty: '' }],
  ['= in a value', 'eq=a=b', { eq: 'a=b' }],
  ['empty pairs', '&&a=1&', { a: '1' }],
  ['the last of equals', 'a=1&a=2', { a: '2' }],
  ['decoding happens once', 'a=%2541', { a: '%41' }],
  ['unknown system names', '%24.unknown=1', { '$.unknown': '1' }],
])('ok/%s', (_, bag, expected) => {
  expect(parsePropertyBag(bag).applicationProperties).toEqual(expected);
});

test('ok/a property called __proto__ is a property', () => {
  const { applicationProperties } = parsePropertyBag('__proto__=x&toString=y');
  expect(Object.entries(applicationProperties)).toEqual([
    ['__proto__', 'x'],
    ['toString', 'y'],
  ]);
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});

test('refused/escapes that are none', () => {
  for (const bag of ['a=%', 'a=%zz', '%ff=1', 'a=%c3%28']) {
    expect(() => parsePropertyBag(bag)).toThrowError(expect.objectContaining({ error: 'ArgumentInvalid' }));
  }
});
