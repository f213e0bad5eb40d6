import { describe, expect, test } from 'vitest';
import { checkSectionSize, checkSectionValues, sizeOf } from '../../../src/hub/twin-limits.ts';
import type { Json, JsonObject } from '../../../src/kernel/json.ts';

const nested = (levels: number, inner: Json): JsonObject =>
  Array.from({ length: levels }).reduce<JsonObject>((value, _, at) => ({ [`l${levels - at}`]: value }), { property: inner });

describe('values', () => {
  test.each<[string, JsonObject]>([
    ['ten levels below the section', nested(10, 'value')],
    ['the smallest and the largest integer', { a: -4503599627370496, b: 4503599627370495 }],
    ['the fraction nearest to the largest integer', { a: 4503599627370495.5 }],
    ['a string of 4096 bytes', { a: 'é'.repeat(2048) }],
    ['a name of 1024 bytes', { ['k'.repeat(1024)]: 1 }],
    ['null', { a: null, b: { c: null } }],
    ['arrays of objects', { a: [{ b: 1 }, [2]] }],
  ])('accepts %s', (_, value) => {
    expect(() => checkSectionValues('tags', value)).not.toThrow();
  });

  test.each<[string, JsonObject, string]>([
    ['eleven levels', nested(11, 'value'), 'nested deeper than 10'],
    ['an array on the eleventh level', nested(10, [1]), 'nested deeper than 10'],
    ['an integer that is too large', { a: { b: 4503599627370496 } }, 'The integer at tags.a.b is outside'],
    ['an integer that is too small', { a: -4503599627370497 }, 'outside'],
    ['a number beyond all', JSON.parse('{"a":1e999}') as JsonObject, 'too large'],
    ['a string of 4097 bytes', { a: 'x'.repeat(4097) }, 'The string at tags.a is longer'],
    ['a long string in an array', { a: ['x'.repeat(4097)] }, 'The string at tags.a[0] is longer'],
    ['a name of 1025 bytes', { ['k'.repeat(1025)]: 1 }, 'longer than 1024 bytes'],
    ['an empty name', { '': 1 }, 'empty name'],
    ['a dot in a name', { 'a.b': 1 }, 'must not have'],
    ['a dollar in a name', { a: { $version: 1 } }, 'must not have'],
    ['a space in a name', { 'a b': 1 }, 'must not have'],
    ['a control character in a name', { 'a\u0085b': 1 }, 'must not have'],
    ['a wrong name inside an array', { a: [{ 'b.c': 1 }] }, 'must not have'],
  ])('refuses %s', (_, value, sentence) => {
    expect(() => checkSectionValues('tags', value)).toThrow(
      expect.objectContaining({ error: 'ArgumentInvalid', message: expect.stringContaining(sentence) }),
    );
  });

  test('does not follow a hostile depth', () => {
    const hostile = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`) as JsonObject;
    expect(() => checkSectionValues('tags', hostile)).toThrow('nested deeper');
  });
});

describe('size', () => {
  test.each<[Json, number]>([
    [{}, 0],
    [{ ab: 'cde' }, 5],
    [{ a: 1 }, 9],
    [{ a: true }, 5],
    [{ é: 'é' }, 4],
    [{ a: 'x\u0000\ny' }, 3],
    [{ a: { b: 'c' } }, 3],
    [{ a: [1, 'b'] }, 10],
  ])('%j has %i bytes', (value, bytes) => {
    expect(sizeOf(value)).toBe(bytes);
  });

  test('the limit itself is allowed, one byte more is not', () => {
    expect(() => checkSectionSize('tags', { a: 'x'.repeat(9) }, 10)).not.toThrow();
    expect(() => checkSectionSize('tags', { a: 'x'.repeat(10) }, 10)).toThrow("The twin's tags would have 11 bytes; at most 10");
  });
});
