import { describe, expect, test } from 'vitest';

import { CertificateFormatError } from '../../../src/pki/certificate-format-error.ts';
import { DerReader, readFlag, readOid, readWholeBits, smallInteger, tags } from '../../../src/pki/der.ts';
import { oid } from '../../fixtures/pki/der-writer.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const readAll = (bytes: Buffer): void => {
  const reader = new DerReader(bytes);
  reader.skip('it');
  reader.finish('it');
};

describe('refused', () => {
  test.each([
    ['nothing', '', 'is missing'],
    ['a tag alone', '30', 'is cut off'],
    ['a length past the end', '30 05 02 01 00', 'is cut off'],
    ['a length past the end of the parent', '30 03 02 02 00', 'is cut off'],
    ['a length field past the end', '30 82 01', 'is cut off'],
    ['an indefinite length', '30 80 02 01 00 00 00', 'indefinite length'],
    ['a long form for a short length', '04 81 01 00', 'shortest form'],
    ['a length with a leading zero byte', `04 82 00 80 ${'00'.repeat(128)}`, 'shortest form'],
    ['a length of five bytes', '04 85 00 00 00 00 01 00', 'impossible length'],
    ['the reserved length 255', '04 ff 00', 'impossible length'],
    ['4 GiB', '04 84 ff ff ff ff 00', 'is cut off'],
    ['bytes after the end', '02 01 00 00', 'followed by bytes'],
    ['a tag number of several bytes', '1f 81 01 00', 'tag that certificates do not use'],
    ['an octet string in pieces', '24 03 04 01 00', 'DER forbids'],
    ['a primitive sequence', '10 00', 'DER forbids'],
    ['end-of-contents', '00 00', 'DER forbids'],
    ['an empty integer', '02 00', 'DER forbids'],
    ['an integer with a superfluous zero', '02 02 00 7f', 'DER forbids'],
    ['a negative integer with a superfluous byte', '02 02 ff 80', 'DER forbids'],
    ['a boolean that is neither 00 nor FF', '01 01 01', 'DER forbids'],
    ['a boolean of two bytes', '01 02 ff ff', 'DER forbids'],
    ['NULL with content', '05 01 00', 'DER forbids'],
    ['an empty identifier', '06 00', 'DER forbids'],
    ['an identifier that ends in the middle', '06 02 2a 86', 'DER forbids'],
    ['an identifier with a padded arc', '06 03 2a 80 01', 'DER forbids'],
    ['a bit string without its first byte', '03 00', 'DER forbids'],
    ['a bit string with eight unused bits', '03 02 08 00', 'DER forbids'],
    ['an empty bit string with unused bits', '03 01 01', 'DER forbids'],
    ['a bit string whose unused bits are set', '03 02 01 01', 'DER forbids'],
    ['17 levels', '30 20 30 1e 30 1c 30 1a 30 18 30 16 30 14 30 12 30 10 30 0e 30 0c 30 0a 30 08 30 06 30 04 30 02 30 00', undefined],
    [
      '18 levels',
      '30 22 30 20 30 1e 30 1c 30 1a 30 18 30 16 30 14 30 12 30 10 30 0e 30 0c 30 0a 30 08 30 06 30 04 30 02 30 00',
      'too deeply',
    ],
  ])('%s', (_, bytes, message) => {
    if (message === undefined) return expect(() => readAll(hex(bytes))).not.toThrow();
    expect(() => readAll(hex(bytes))).toThrow(CertificateFormatError);
    expect(() => readAll(hex(bytes))).toThrow(message);
  });

  test('an element of another type than expected', () => {
    expect(() => new DerReader(hex('02 01 00')).enter(tags.sequence, 'it')).toThrow('not of the expected type (tag 0x02)');
  });

  test('a bit string that should consist of bytes', () => {
    expect(() => readWholeBits(new DerReader(hex('03 02 01 00')), 'it')).toThrow('byte boundary');
  });

  test.each(['ff', '80 00', '01 00 00 00 00 00 00'])('the number %s', (content) => {
    expect(() => smallInteger(hex(content), 'it')).toThrow('out of range');
  });
});

describe('read', () => {
  test.each([
    '1.2.840.113549.1.1.11',
    '2.5.29.15',
    '0.9.2342.19200300.100.1.25',
    '2.999.1',
    '2.25.329800735698586629295641978511506172918',
    '1.39.0',
  ])('identifier %s', (text) => {
    expect(readOid(new DerReader(oid(text)), 'it')).toBe(text);
  });

  test('lengths of one, two and three bytes', () => {
    for (const size of [0, 127, 128, 255, 256, 65_535, 65_536]) {
      const length = size < 128 ? [size] : size < 256 ? [0x81, size] : size < 65_536 ? [0x82, size >> 8, size & 255] : [0x83, 1, 0, 0];
      const bytes = Buffer.concat([Buffer.from([0x04, ...length]), Buffer.alloc(size)]);
      expect(new DerReader(bytes).content(tags.octetString, 'it').length).toBe(size);
    }
  });

  test('a default of FALSE that is spelled out, or left out', () => {
    expect(readFlag(new DerReader(hex('01 01 00')), 'it')).toBe(false);
    expect(readFlag(new DerReader(hex('')), 'it')).toBe(false);
    expect(readFlag(new DerReader(hex('01 01 ff')), 'it')).toBe(true);
  });
});
