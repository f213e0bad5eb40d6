import { X509Certificate } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Certificate, maxCertificateBytes, parseCertificate } from '../../../src/pki/certificate.ts';
import { CertificateFormatError } from '../../../src/pki/certificate-format-error.ts';
import { parseCertificateUpload } from '../../../src/pki/upload.ts';
import { verifyPath } from '../../../src/pki/verify-path.ts';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  sequence,
  set,
  string,
  time,
  tlv,
} from '../../fixtures/pki/der-writer.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  generalName,
  nameConstraints,
  subjectAltName,
} from '../../fixtures/pki/extension.ts';
import { algorithms, ecKey, make, name, noon, rsaKey } from '../../fixtures/pki/make-certificate.ts';
import { type OpenSsl, openOpenSsl } from '../../fixtures/pki/openssl.ts';

const key = ecKey();

describe('fields', () => {
  const root = make({
    subject: [
      ['C', 'DE'],
      ['O', 'Muster'],
      ['CN', 'Root'],
    ],
    key,
    ca: true,
    pathLength: 1,
  });
  const names = [
    generalName.dns('a.example'),
    generalName.email('a@b.example'),
    generalName.uri('urn:x'),
    generalName.ip(10, 0, 0, 1),
    generalName.directory(name('d')),
    generalName.registeredId('1.2.3'),
  ];
  const leaf = make({
    subject: 'sensor-thl-002',
    key: rsaKey(2048),
    issuer: root,
    serial: 0xfe,
    extensions: [extendedKeyUsage('1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.4'), subjectAltName(...names)],
  });
  const { certificate } = leaf;
  const node = new X509Certificate(leaf.der);

  test('match what Node reads', () => {
    expect(certificate.sha1).toBe(node.fingerprint.replaceAll(':', ''));
    expect(certificate.sha256).toBe(node.fingerprint256.replaceAll(':', ''));
    expect(certificate.serialNumber).toBe(node.serialNumber);
    expect(certificate.notBefore).toBe(Date.parse(node.validFrom));
    expect(certificate.notAfter).toBe(Date.parse(node.validTo));
    expect(Buffer.from(certificate.publicKey.der)).toEqual(node.publicKey.export({ format: 'der', type: 'spki' }));
  });

  test('of the names', () => {
    expect(certificate).toMatchObject({
      subject: 'CN=sensor-thl-002',
      issuer: 'CN=Root, O=Muster, C=DE',
      commonName: 'sensor-thl-002',
      version: 3,
    });
    expect(certificate.issuerKey).toBe(root.certificate.subjectKey);
    expect(certificate.subjectAlternativeNames.map((alternative) => alternative.form)).toEqual([
      'dns',
      'email',
      'uri',
      'ip',
      'directory',
      'other',
    ]);
  });

  test('of the extensions', () => {
    expect(certificate).toMatchObject({
      isCa: false,
      keyUsage: new Set(['digitalSignature']),
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.4'],
    });
    expect(root.certificate).toMatchObject({
      isCa: true,
      pathLength: 1,
      keyUsage: new Set(['digitalSignature', 'keyCertSign', 'cRLSign']),
    });
    expect(certificate.authorityKeyId).toBe(root.certificate.subjectKeyId);
    expect(certificate.subjectKeyId).toBe(leaf.keyId?.toString('hex').toUpperCase());
    expect(make({ subject: 'bare', key, usages: 'none', noKeyIds: true, noBasicConstraints: true }).certificate).toMatchObject({
      isCa: false,
      unknownCriticalExtensions: [],
    });
  });

  test('of the key', () => {
    expect(certificate.publicKey).toMatchObject({ algorithm: '1.2.840.113549.1.1.1', rsaBits: 2048 });
    expect(root.certificate.publicKey).toMatchObject({ algorithm: '1.2.840.10045.2.1', curve: '1.2.840.10045.3.1.7' });
    const renewed = make({ subject: 'x', key, issuer: root }).certificate;
    expect(renewed.publicKeySha256).toBe(root.certificate.publicKeySha256);
    expect(renewed.publicKeySha256).not.toBe(certificate.publicKeySha256);
  });

  test('do not change with the bytes that were handed in', () => {
    const bytes = Buffer.from(leaf.der);
    const parsed = parseCertificate(bytes);
    bytes.fill(0);
    expect(Buffer.from(parsed.der)).toEqual(leaf.der);
    expect(Buffer.from(parsed.signature.value).some((byte) => byte !== 0)).toBe(true);
  });
});

describe('accepted', () => {
  test.each([
    ['a tiny serial number', { serial: 2 }, '02'],
    ['serial number zero', { serial: 0 }, '00'],
    ['a serial number with the top bit set', { serial: 0xff01 }, 'FF01'],
    ['a negative serial number', { serial: Buffer.from([0x80, 0x01]) }, '8001'],
    ['a serial number of 20 bytes', { serial: Buffer.alloc(20, 0x7f) }, '7F'.repeat(20)],
  ])('%s', (_, spec, serialNumber) => expect(make({ subject: 'x', key, ...spec }).certificate.serialNumber).toBe(serialNumber));

  test('dates far away, to the second', () => {
    const { certificate } = make({ subject: 'x', key, notBefore: Date.UTC(1950, 0, 1), notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) });
    expect([certificate.notBefore, certificate.notAfter]).toEqual([Date.UTC(1950, 0, 1), Date.UTC(9999, 11, 31, 23, 59, 59)]);
  });

  test('version 1', () => expect(make({ subject: 'x', key, version: 0 }).certificate).toMatchObject({ version: 1, isCa: false }));

  test('CA:FALSE with a path length, which means nothing', () => {
    const parsed = make({ subject: 'x', key, noBasicConstraints: true, extensions: [basicConstraints(false, 0)] }).certificate;
    expect(parsed.isCa).toBe(false);
    expect(parsed.pathLength).toBeUndefined();
  });

  test('an unknown extension, noted when critical', () => {
    const extensions = [extension('1.2.3.4', boolean(true), true), extension('1.2.3.5', Buffer.from('not DER'))];
    expect(make({ subject: 'x', key, extensions }).certificate.unknownCriticalExtensions).toEqual(['1.2.3.4']);
  });

  test('name constraints', () => {
    const extensions = [
      nameConstraints({ permitted: [generalName.dns('example.com')], excluded: [generalName.ip(10, 0, 0, 0, 255, 0, 0, 0)] }),
    ];
    const { nameConstraints: read } = make({ subject: 'x', key, ca: true, extensions }).certificate;
    expect(read?.permitted).toEqual([{ base: { form: 'dns', value: 'example.com' }, hasDistance: false }]);
    expect(read?.excluded).toMatchObject([{ base: { form: 'ip' }, hasDistance: false }]);
  });
});

describe('refused', () => {
  interface Parts {
    readonly version?: Buffer;
    readonly validity?: Buffer;
    readonly extensions?: readonly Buffer[];
    readonly uniqueId?: Buffer;
    readonly spki?: Buffer;
    readonly after?: Buffer;
  }
  const utc = (text: string): Buffer => tlv(0x17, Buffer.from(text));
  const general = (text: string): Buffer => tlv(0x18, Buffer.from(text));
  const build = (parts: Parts): Buffer => {
    const tbs = sequence(
      parts.version ?? explicit(0, integer(2)),
      integer(1),
      algorithms.ecdsaSha256.identifier,
      name('x'),
      parts.validity ?? sequence(time(noon), time(noon)),
      name('x'),
      parts.spki ?? key.spki,
      ...(parts.uniqueId === undefined ? [] : [parts.uniqueId]),
      ...(parts.extensions === undefined ? [] : [explicit(3, sequence(...parts.extensions))]),
    );
    return sequence(
      tbs,
      algorithms.ecdsaSha256.identifier,
      bitString(Buffer.alloc(8)),
      ...(parts.after === undefined ? [] : [parts.after]),
    );
  };
  const validity = (from: Buffer, to: Buffer = utc('300101000000Z')): Parts => ({ validity: sequence(from, to) });
  const distance = sequence(implicit(2, Buffer.from('x')), implicit(0, Buffer.from([0])), implicit(2, Buffer.from([0])));

  test('none of the parts that the table below varies', () => expect(parseCertificate(build({})).version).toBe(3));

  test.each<[string, Parts, string]>([
    ['version 4', { version: explicit(0, integer(3)) }, 'is 4; versions 1 to 3 exist'],
    ['an extension twice', { extensions: [basicConstraints(false), basicConstraints(true)] }, 'extension 2.5.29.19 occurs twice'],
    [
      'an unknown extension twice',
      { extensions: [extension('1.2.3', Buffer.alloc(0)), extension('1.2.3', Buffer.alloc(0))] },
      'occurs twice',
    ],
    ['no extension in the list', { extensions: [] }, 'is empty'],
    ['extensions in version 2', { version: explicit(0, integer(1)), extensions: [basicConstraints(true)] }, 'need version 3'],
    ['extensions in version 1', { version: Buffer.alloc(0), extensions: [basicConstraints(true)] }, 'need version 3'],
    ['a unique identifier in version 1', { version: Buffer.alloc(0), uniqueId: implicit(1, Buffer.from([0, 1])) }, 'needs version 2'],
    ['a month 13', validity(utc('261301000000Z')), 'not a date in the form'],
    ['30 February', validity(utc('260230000000Z')), 'not a date that exists'],
    ['24 o’clock', validity(utc('260201240000Z')), 'not a date in the form'],
    ['second 60', validity(utc('260201000060Z')), 'not a date in the form'],
    ['a time without seconds', validity(utc('2602010000Z')), 'not a date in the form'],
    ['a time zone', validity(utc('260201000000+0100')), 'not a date in the form'],
    ['fractions of a second', validity(general('20260201000000.5Z')), 'not a date in the form'],
    ['a date with a sign', validity(general('-0260201000000Z')), 'not a date in the form'],
    ['three dates', { validity: sequence(time(noon), time(noon), time(noon)) }, 'the validity is followed by'],
    [
      'a negative path length',
      { extensions: [extension('2.5.29.19', sequence(boolean(true), integer(Buffer.from([0xff]))))] },
      'out of range',
    ],
    ['a huge path length', { extensions: [extension('2.5.29.19', sequence(boolean(true), integer(Buffer.alloc(9, 1))))] }, 'out of range'],
    [
      'basicConstraints that go on',
      { extensions: [extension('2.5.29.19', sequence(boolean(true), integer(0), integer(0)))] },
      'followed by bytes',
    ],
    ['basicConstraints that are a set', { extensions: [extension('2.5.29.19', set(boolean(true)))] }, 'not of the expected type'],
    [
      'bytes after an extension’s value',
      { extensions: [extension('2.5.29.15', Buffer.concat([bitString(Buffer.from([0x80])), boolean(true)]))] },
      'followed by bytes',
    ],
    [
      'an extension with a fourth part',
      { extensions: [sequence(oid('1.2.3'), boolean(true), octetString(Buffer.alloc(0)), integer(1))] },
      'followed by bytes',
    ],
    ['a name of an unknown form', { extensions: [subjectAltName(implicit(15, Buffer.from('x')))] }, 'unknown form'],
    [
      'a constraint with parts in the wrong order',
      { extensions: [extension('2.5.29.30', sequence(explicit(0, distance)))] },
      'followed by bytes',
    ],
    [
      'an RSA key without a modulus',
      { spki: sequence(sequence(oid('1.2.840.113549.1.1.1')), bitString(sequence())) },
      'RSA modulus is missing',
    ],
    [
      'an RSA key with a negative modulus',
      { spki: sequence(sequence(oid('1.2.840.113549.1.1.1')), bitString(sequence(integer(Buffer.from([0x80, 1])), integer(3)))) },
      'not a positive number',
    ],
    [
      'a public key with a third part',
      { spki: sequence(sequence(oid('1.2.3')), bitString(Buffer.alloc(1)), integer(1)) },
      'followed by bytes',
    ],
    ['a fourth part', { after: string('utf8', 'x') }, 'followed by bytes'],
  ])('%s', (_, parts, message) => {
    expect(() => parseCertificate(build(parts))).toThrow(CertificateFormatError);
    expect(() => parseCertificate(build(parts))).toThrow(message);
  });

  test('bytes after the certificate', () => {
    expect(() => parseCertificate(Buffer.concat([build({}), Buffer.from([0])]))).toThrow('followed by bytes');
  });

  test('more bytes than any certificate has', () => {
    expect(() => parseCertificate(Buffer.alloc(maxCertificateBytes + 1))).toThrow('larger than');
  });

  test('every cut of a certificate', () => {
    const whole = build({ extensions: [basicConstraints(true, 3)] });
    for (let size = 0; size < whole.length; size += 1)
      expect(() => parseCertificate(whole.subarray(0, size))).toThrow(CertificateFormatError);
  });
});

describe('the certificates that certGen.sh makes', () => {
  let openssl: OpenSsl;
  let leaf: Certificate;
  let root: Certificate;
  const config = `
[req]
distinguished_name = dn
[dn]
[leaf]
basicConstraints = CA:FALSE
nsCertType = client, email
nsComment = "OpenSSL Generated Client Certificate"
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
keyUsage = critical, nonRepudiation, digitalSignature, keyEncipherment
extendedKeyUsage = clientAuth, emailProtection
[root]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, cRLSign, keyCertSign
`;

  beforeAll(async () => {
    openssl = openOpenSsl();
    openssl.write('c.cnf', config);
    // 2048 bits in place of 4096: only slower.
    const commands = [
      'req -x509 -new -newkey rsa:2048 -nodes -config c.cnf -extensions root -keyout r.key -out r.pem -days 30 -subj /CN=Azure\\ IoT\\ Hub\\ CA\\ Cert\\ Test\\ Only',
      'req -new -newkey rsa:2048 -nodes -config c.cnf -keyout l.key -out l.csr -subj /CN=sensor-thl-002',
      'x509 -req -in l.csr -CA r.pem -CAkey r.key -set_serial 2 -days 30 -extfile c.cnf -extensions leaf -out l.pem',
      'x509 -in l.pem -text -out text.pem',
    ];
    for (const command of commands) {
      const result = await openssl.run(...command.split(/(?<!\\) /u).map((word) => word.replaceAll('\\ ', ' ')));
      expect(result.code, result.output).toBe(0);
    }
    const { output } = await openssl.run('x509', '-in', 'text.pem', '-text');
    [leaf, root] = parseCertificateUpload(output + (await openssl.run('x509', '-in', 'r.pem')).output) as [Certificate, Certificate];
  });
  afterAll(() => openssl.close());

  test('are read', () => {
    expect(leaf).toMatchObject({ commonName: 'sensor-thl-002', serialNumber: '02', isCa: false, unknownCriticalExtensions: [] });
    expect(leaf.issuer).toBe('CN=Azure IoT Hub CA Cert Test Only');
    expect(leaf.keyUsage).toEqual(new Set(['digitalSignature', 'nonRepudiation', 'keyEncipherment']));
    expect(leaf.extendedKeyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.4']);
  });

  test('are trusted under their root when the device sends its leaf alone', () => {
    expect(verifyPath(leaf, { intermediates: [], anchors: [root], at: leaf.notBefore })).toMatchObject({ ok: true, path: [leaf, root] });
  });
});
