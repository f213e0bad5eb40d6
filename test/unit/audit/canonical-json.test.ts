import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { canonicalJson } from '../../../src/audit/canonical-json.ts';
import type { Json, JsonObject } from '../../../src/kernel/json.ts';

const anyJson = fc.jsonValue({ noUnicodeString: false }) as fc.Arbitrary<Json>;

/** The same value with the members of every object in another order. */
function shuffled(value: Json, turn: number): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => shuffled(item, turn));
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value as JsonObject).map(([name, member]) => [name, shuffled(member, turn + 1)] as const);
  const at = entries.length === 0 ? 0 : turn % entries.length;
  return Object.fromEntries([...entries.slice(at), ...entries.slice(0, at)].toReversed());
}

test('the text reads back as the value', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('the order of members makes no difference', () => {
  fc.assert(
    fc.property(anyJson, fc.nat(20), (value, turn) => {
      expect(canonicalJson(shuffled(value, turn))).toBe(canonicalJson(value));
    }),
  );
});

test('two values have one text only when they are the same', () => {
  fc.assert(
    fc.property(anyJson, anyJson, (a, b) => {
      const same = JSON.stringify(JSON.parse(canonicalJson(a))) === JSON.stringify(JSON.parse(canonicalJson(b)));
      expect(canonicalJson(a) === canonicalJson(b)).toBe(same);
    }),
  );
});

test('it survives being stored as text', () => {
  fc.assert(
    fc.property(anyJson, (value) => {
      expect(canonicalJson(JSON.parse(JSON.stringify(value)) as Json)).toBe(canonicalJson(value));
    }),
  );
});

// RFC 8785 section 3.2.3: the order is that of UTF-16 units, so a surrogate comes before U+FB33.
test('the example of the standard', () => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  };
  const text =
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}';
  expect(canonicalJson(value)).toBe(text);
  expect(
    createHash('sha256')
      .update(canonicalJson({ b: [1e21, -0, 0.000001], a: null }))
      .digest('hex'),
  ).toBe(createHash('sha256').update('{"a":null,"b":[1e+21,0,0.000001]}').digest('hex'));
});
