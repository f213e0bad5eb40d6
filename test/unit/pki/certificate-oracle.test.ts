import { X509Certificate } from 'node:crypto';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type Certificate, parseCertificate } from '../../../src/pki/certificate.ts';
import { CertificateFormatError } from '../../../src/pki/certificate-format-error.ts';
import { explicit, octetString, sequence } from '../../fixtures/pki/der-writer.ts';
import { extendedKeyUsage, extension, generalName, nameConstraints, subjectAltName } from '../../fixtures/pki/extension.ts';
import { ecKey, ed25519Key, make, name, type NameParts, rsaKey } from '../../fixtures/pki/make-certificate.ts';

/** Node's own X509Certificate (OpenSSL) as the judge of our reader. */

const seed = 20261123;
const keys = [ecKey(), ecKey('P-521'), rsaKey(1024), ed25519Key()] as const;

/** Names of the attributes in the object that Node makes of a subject. */
const attributes = ['CN', 'O', 'OU', 'L', 'C'] as const;

describe('generated certificates', () => {
  // NUL would end the text in Node's object; it is covered by the tests of names.
  const text = fc.string({ unit: fc.constantFrom('a', 'Z', '7', '-', '.', ' ', ',', '"', 'é', '日', '/'), minLength: 1, maxLength: 20 });
  const ascii = fc.string({ unit: fc.constantFrom('a', 'Z', '7', '-', '.', ' '), minLength: 1, maxLength: 20 });
  const value = fc.oneof(
    fc.tuple(text, fc.constantFrom('utf8' as const, 'bmp' as const, 'universal' as const)),
    fc.tuple(ascii, fc.constantFrom('printable' as const, 'ia5' as const, 't61' as const)),
  );
  const spec = fc.record({
    values: fc
      .subarray([...attributes])
      .chain((labels) => fc.tuple(...labels.map((label) => value.map(([v, type]) => [label, v, type] as const)))),
    serial: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    notBefore: fc.integer({ min: Date.UTC(1970, 0, 1) / 1000, max: Date.UTC(2100, 0, 1) / 1000 }),
    seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
    key: fc.constantFrom(...keys.slice(0, 3)),
    ca: fc.boolean(),
    version: fc.constantFrom(0 as const, 1 as const, 2 as const),
  });

  test('have the same fields for both', () => {
    fc.assert(
      fc.property(spec, ({ values, serial, notBefore, seconds, ...rest }) => {
        const subject: NameParts = values;
        const positive = Buffer.concat([Buffer.from([0x01]), serial]);
        const made = make({
          ...rest,
          subject,
          issuer,
          signWith: issuer.key,
          serial: positive,
          notBefore: notBefore * 1000,
          notAfter: (notBefore + seconds) * 1000,
        });
        const node = new X509Certificate(made.der);
        const legacy = node.toLegacyObject().subject as unknown as Record<string, string | undefined>;
        compare(made.certificate, node);
        expect(made.certificate.commonName).toBe(legacy['CN']);
        for (const [label, text_] of values) expect(legacy[label]).toBe(text_);
        expect(made.certificate.isCa).toBe(node.ca);
        expect(made.certificate.version).toBe(rest.version + 1);
      }),
      { numRuns: 300, seed },
    );
  });

  const issuer = make({ subject: 'Issuer', key: keys[0], ca: true });
});

describe('damaged certificates', () => {
  const root = make({
    subject: [
      ['C', 'DE', 'printable'],
      ['O', 'Größe'],
      ['CN', 'Root', 'bmp'],
      ['L', 'x', 'universal'],
      ['E', 'a@b.c'],
    ],
    key: keys[0],
    ca: true,
    pathLength: 2,
    extensions: [
      nameConstraints({
        permitted: [generalName.dns('a.b'), generalName.directory(name('x'))],
        excluded: [generalName.ip(1, 2, 3, 4, 255, 0, 0, 0)],
      }),
    ],
  });
  const names = [
    generalName.dns('a.b'),
    generalName.email('q@x'),
    generalName.uri('http://a/'),
    generalName.ip(1, 2, 3, 4),
    generalName.other('1.2.3', octetString(Buffer.alloc(2))),
  ];
  const bases = [
    root,
    make({
      subject: 'leaf',
      key: keys[2],
      issuer: root,
      extensions: [extendedKeyUsage('1.3.6.1.5.5.7.3.2'), subjectAltName(...names), extension('1.2.3', sequence(), true)],
    }),
    make({ subject: 'pss', key: keys[2], ca: true, algorithm: 'pssSha256', notAfter: Date.UTC(2060, 0, 1) }),
    make({ subject: 'old', key: keys[1], version: 0, algorithm: 'ecdsaSha512' }),
    make({ subject: 'ed', key: keys[3], algorithm: 'ed25519' }),
  ].map((made) => made.der);

  // Bytes that mean something as a tag or a length hit more than random ones.
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0x00, 0x01, 0x1f, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xa0, 0xa3, 0xff),
  );
  const edit = fc.record({
    kind: fc.constantFrom('set' as const, 'flip' as const, 'add' as const, 'splice' as const),
    at: fc.nat(2000),
    byte,
    size: fc.nat(8),
    from: fc.nat(2000),
  });

  test('are read like Node reads them, or refused with a sentence, at once', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.constantFrom(...bases), fc.array(edit, { minLength: 1, maxLength: 3 }), (base, edits) => {
        if (judge(edits.reduce(applyEdit, Buffer.from(base)))) accepted += 1;
      }),
      { numRuns: 6000, seed },
    );
    // Otherwise the comparison would have compared nothing.
    expect(accepted).toBeGreaterThan(500);
  });

  test('never crash the reader when they are noise', () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 100 }).map((bytes) => sequence(sequence(explicit(0, bytes), bytes), bytes)),
    );
    fc.assert(
      fc.property(noise, (bytes) => void judge(Buffer.from(bytes))),
      { numRuns: 3000, seed },
    );
  });

  test('nested or repeated without end are refused in linear time', () => {
    const deep = Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.from([0x30, 0x82, 0xff, 0xff])));
    const wide = sequence(...Array.from({ length: 15_000 }, () => Buffer.from([0x30, 0x02, 0x30, 0x00])));
    const started = performance.now();
    for (const bytes of [deep, wide, sequence(wide), Buffer.alloc(65_536, 0x30)]) expect(judge(bytes)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  interface Edit {
    readonly kind: 'set' | 'flip' | 'add' | 'splice';
    readonly at: number;
    readonly byte: number;
    readonly size: number;
    readonly from: number;
  }

  function applyEdit(bytes: Buffer, { kind, at, byte: value, size, from }: Edit): Buffer {
    const index = at % Math.max(bytes.length, 1);
    if (kind === 'splice')
      return Buffer.concat([
        bytes.subarray(0, index),
        bytes.subarray(from % Math.max(bytes.length, 1)).subarray(0, size),
        bytes.subarray(index + (value % 4)),
      ]);
    const changed = Buffer.from(bytes);
    const old = changed[index] ?? 0;
    changed[index] = { set: value, flip: old ^ (1 << (size % 8)), add: (old + (value % 2 === 0 ? 1 : 255)) & 0xff }[kind];
    return changed;
  }
});

/** Whether we accept the bytes; fails the test when Node would not, or reads them differently. */
function judge(bytes: Buffer): boolean {
  let ours: Certificate;
  try {
    ours = parseCertificate(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(CertificateFormatError);
    return false;
  }
  compare(ours, new X509Certificate(bytes));
  return true;
}

function compare(ours: Certificate, node: X509Certificate): void {
  expect(ours.sha1).toBe(node.fingerprint.replaceAll(':', ''));
  expect(ours.sha256).toBe(node.fingerprint256.replaceAll(':', ''));
  expect(ours.notBefore).toBe(dateOf(node.validFrom));
  expect(ours.notAfter).toBe(dateOf(node.validTo));
  // Node prints negative numbers as minus and magnitude; ours are the bytes.
  if (!node.serialNumber.startsWith('-')) expect(ours.serialNumber).toBe(node.serialNumber === '0' ? '00' : node.serialNumber);
  // Node's word on CAs also looks at keyUsage, and at Netscape's extension.
  if (node.ca) expect(ours.isCa).toBe(true);
}

/** Date.parse takes a year below 100 for one of our time, and damaged certificates do have them. */
function dateOf(text: string): number {
  const date = new Date(text);
  const year = Number(/ (\d+) GMT$/u.exec(text)?.[1]);
  date.setUTCFullYear(year);
  return date.getTime();
}
