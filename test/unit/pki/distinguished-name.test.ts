import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { DerReader } from '../../../src/pki/der.ts';
import { type DistinguishedName, readName } from '../../../src/pki/distinguished-name.ts';
import { integer, octetString, oid, sequence, set, string, type StringType, tlv } from '../../fixtures/pki/der-writer.ts';
import { name, type NameParts } from '../../fixtures/pki/make-certificate.ts';

const read = (der: Buffer): DistinguishedName => readName(new DerReader(der), 'the subject');
const commonName = (type: StringType, text: string): string => read(name([['CN', text, type]])).key;

describe('text, as .NET writes it', () => {
  test.each<[string, NameParts]>([
    ['CN=sensor-thl-002', [['CN', 'sensor-thl-002']]],
    [
      'CN=a, O=b, C=DE',
      [
        ['C', 'DE'],
        ['O', 'b'],
        ['CN', 'a'],
      ],
    ],
    [
      'E=a@b.example, S=Hessen, L=Kassel',
      [
        ['L', 'Kassel'],
        ['S', 'Hessen'],
        ['E', 'a@b.example'],
      ],
    ],
    ['O="Acme, Inc."', [['O', 'Acme, Inc.']]],
    ['O="say ""yes"""', [['O', 'say "yes"']]],
    ['CN=" padded "', [['CN', ' padded ']]],
    ['CN=""', [['CN', '']]],
    ['CN="a=b"', [['CN', 'a=b']]],
    ['OID.1.3.6.1.4.1.55555.1=x', [['X', 'x']]],
    ['CN=Größe 日本', [['CN', 'Größe 日本']]],
    ['', []],
  ])('%s', (text, parts) => expect(read(name(parts)).text).toBe(text));

  test('several attributes in one RDN', () => {
    const rdn = set(sequence(oid('2.5.4.3'), string('utf8', 'a')), sequence(oid('2.5.4.5'), string('printable', '7')));
    expect(read(sequence(rdn)).text).toBe('CN=a + SERIALNUMBER=7');
  });

  test('a value that is not text', () => {
    expect(read(sequence(set(sequence(oid('2.5.4.3'), tlv(0x12, Buffer.from('42')))))).text).toBe('CN="#12023432"');
  });
});

test('the last CN counts', () => {
  expect(
    read(
      name([
        ['CN', 'first'],
        ['O', 'x'],
        ['CN', 'last'],
      ]),
    ).commonName,
  ).toBe('last');
  expect(read(name([['O', 'x']])).commonName).toBeUndefined();
});

describe('key', () => {
  test.each<[string, [StringType, string], [StringType, string]]>([
    ['case of ASCII letters', ['utf8', 'Sensor A'], ['utf8', 'sENSOR a']],
    ['string types', ['printable', 'Sensor A'], ['utf8', 'Sensor A']],
    ['string types of several bytes', ['bmp', 'Größe'], ['universal', 'Größe']],
    ['Latin-1', ['t61', 'Größe'], ['utf8', 'Größe']],
    ['white space at the ends', ['utf8', '  a b '], ['utf8', 'a b']],
    ['white space inside', ['utf8', 'a \t  b'], ['utf8', 'a b']],
  ])('equal in spite of %s', (_, a, b) => expect(commonName(...a)).toBe(commonName(...b)));

  test.each<[string, NameParts, NameParts]>([
    ['value', [['CN', 'a']], [['CN', 'b']]],
    ['attribute', [['CN', 'a']], [['O', 'a']]],
    [
      'order of RDNs',
      [
        ['CN', 'a'],
        ['O', 'b'],
      ],
      [
        ['O', 'b'],
        ['CN', 'a'],
      ],
    ],
    ['white space against none', [['CN', 'a b']], [['CN', 'ab']]],
    [
      'separators in a value',
      [['CN', 'a,2.5.4.10=b']],
      [
        ['CN', 'a'],
        ['O', 'b'],
      ],
    ],
    [
      'plus in a value',
      [['CN', 'a+2.5.4.10=b']],
      [
        ['CN', 'a'],
        ['O', 'b'],
      ],
    ],
    ['NUL', [['CN', 'a\u0000b']], [['CN', 'a']]],
    ['escapes spelled out', [['CN', 'a\\2cb']], [['CN', 'a,b']]],
    ['letters beyond ASCII, which keep their case', [['CN', 'Ä']], [['CN', 'ä']]],
  ])('different by %s', (_, a, b) => expect(read(name(a)).key).not.toBe(read(name(b)).key));

  test('attributes of one RDN are a set', () => {
    const first = sequence(oid('2.5.4.3'), string('utf8', 'a'));
    const second = sequence(oid('2.5.4.10'), string('utf8', 'b'));
    expect(read(sequence(set(first, second))).key).toBe(read(sequence(set(second, first))).key);
    expect(read(sequence(set(first, second))).key).not.toBe(read(sequence(set(first), set(second))).key);
  });

  test('holds no control characters and differs whenever folded values differ', () => {
    const fold = (text: string): string =>
      text
        .replace(/[ \t\n\v\f\r]+/gu, ' ')
        .replace(/^ | $/gu, '')
        .replace(/[A-Z]/gu, (letter) => letter.toLowerCase());
    const parts = fc.array(fc.string({ unit: fc.constantFrom('a', 'A', ',', '+', '=', '\\', '#', ' ', '\u0000', '2', 'c', 'é') }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [keyA, keyB] = [a, b].map((values) => read(name(values.map((value) => ['CN', value]))).key);
        expect(keyA).not.toMatch(/\p{Cc}/u);
        expect(keyA === keyB).toBe(JSON.stringify(a.map(fold)) === JSON.stringify(b.map(fold)));
      }),
      { numRuns: 500, seed: 20261123 },
    );
  });
});

describe('refused', () => {
  const attribute = (value: Buffer): Buffer => sequence(set(sequence(oid('2.5.4.3'), value)));
  test.each([
    ['bytes that are not UTF-8', attribute(tlv(0x0c, Buffer.from([0xc3, 0x28]))), 'not valid UTF-8'],
    ['half a UTF-16 character', attribute(tlv(0x1e, Buffer.from([0x00]))), 'half a character'],
    ['a surrogate', attribute(tlv(0x1e, Buffer.from([0xd8, 0x00]))), 'does not exist'],
    ['a code point beyond Unicode', attribute(tlv(0x1c, Buffer.from([0x00, 0x11, 0x00, 0x00]))), 'does not exist'],
    ['an empty RDN', sequence(set()), 'empty part'],
    ['a number as value', attribute(integer(5)), 'not text'],
    ['bytes as value', attribute(octetString(Buffer.from('x'))), 'not text'],
    [
      'a third part in an attribute',
      sequence(set(sequence(oid('2.5.4.3'), string('utf8', 'a'), string('utf8', 'b')))),
      'followed by bytes',
    ],
  ])('%s', (_, der, message) => expect(() => read(der)).toThrow(message));
});
