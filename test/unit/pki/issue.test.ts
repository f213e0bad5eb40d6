import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { instant } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import {
  createDeviceCertificate,
  createIntermediateCertificate,
  createRootCertificate,
  createServerCertificate,
  createVerificationCertificate,
  type IssuedCertificate,
  type Issuer,
} from '../../../src/pki/issue.ts';
import { verifyProofOfPossession } from '../../../src/pki/proof-of-possession.ts';
import { parseCertificateUpload } from '../../../src/pki/upload.ts';
import { verifyPath } from '../../../src/pki/verify-path.ts';
import { type OpenSsl, openOpenSsl } from '../../fixtures/pki/openssl.ts';

const hour = 3_600_000;
// TLS clients look at the real clock.
const now = Math.floor(Date.now() / 1000) * 1000;
const basics = (): {
  keyType: 'p256';
  notBefore: ReturnType<typeof instant>;
  notAfter: ReturnType<typeof instant>;
  serialBytes: Uint8Array;
} => ({
  keyType: 'p256',
  notBefore: instant(now - hour),
  notAfter: instant(now + hour),
  serialBytes: randomBytes(16),
});
const parse = (issued: IssuedCertificate): Certificate => {
  const [certificate] = parseCertificateUpload(issued.certificatePem);
  return certificate ?? expect.fail('nothing was issued');
};

let openssl: OpenSsl;
let root: IssuedCertificate;
let int: IssuedCertificate;
let device: IssuedCertificate;
let server: IssuedCertificate;

beforeAll(async () => {
  openssl = openOpenSsl();
  root = await createRootCertificate({ ...basics(), commonName: 'Test Root' });
  int = await createIntermediateCertificate({ ...basics(), commonName: 'Test Intermediate', pathLength: 0, issuer: root });
  device = await createDeviceCertificate({ ...basics(), commonName: 'sensor-thl-002', issuer: issuerOf(int) });
  server = await createServerCertificate({
    ...basics(),
    names: ['localhost', '127.0.0.1', '::1', '*.hubs.localhost'],
    issuer: issuerOf(int),
  });
});
afterAll(() => openssl.close());

/** With its chain, so that what is issued below has it, too. */
function issuerOf(issued: IssuedCertificate): Issuer {
  return { certificatePem: issued.chainPem, privateKeyPem: issued.privateKeyPem };
}

async function opensslVerify(issued: IssuedCertificate, ...more: readonly string[]): Promise<string> {
  openssl.write('root.pem', root.certificatePem);
  openssl.write('chain.pem', issued.chainPem);
  const { output } = await openssl.run(
    'verify',
    '-x509_strict',
    '-auth_level',
    '2',
    '-CAfile',
    'root.pem',
    '-untrusted',
    'chain.pem',
    ...more,
    openssl.write('leaf.pem', issued.certificatePem),
  );
  return output.trim();
}

describe('what is issued', () => {
  test.each<[string, () => IssuedCertificate, readonly string[]]>([
    ['root', () => root, []],
    ['intermediate', () => int, []],
    ['device', () => device, ['-purpose', 'sslclient']],
    ['server', () => server, ['-purpose', 'sslserver', '-verify_hostname', 'localhost']],
    ['server by address', () => server, ['-purpose', 'sslserver', '-verify_ip', '127.0.0.1']],
    ['server by IPv6 address', () => server, ['-purpose', 'sslserver', '-verify_ip', '::1']],
    ['server by wildcard', () => server, ['-purpose', 'sslserver', '-verify_hostname', 'a.hubs.localhost']],
  ])('satisfies openssl verify, strictly: %s', async (_, issued, more) => {
    expect(await opensslVerify(issued(), ...more)).toBe('leaf.pem: OK');
  });

  test('is verified by Muster', () => {
    for (const issued of [int, device, server]) {
      const verdict = verifyPath(parse(issued), {
        intermediates: parseCertificateUpload(issued.chainPem),
        anchors: [parse(root)],
        at: instant(now),
      });
      expect(verdict).toMatchObject({ ok: true });
    }
  });

  test('says what it is', () => {
    expect(parse(root)).toMatchObject({
      subject: 'CN=Test Root',
      issuer: 'CN=Test Root',
      version: 3,
      isCa: true,
      keyUsage: new Set(['digitalSignature', 'keyCertSign', 'cRLSign']),
    });
    expect(parse(root).pathLength).toBeUndefined();
    expect(parse(int)).toMatchObject({ isCa: true, pathLength: 0, issuer: 'CN=Test Root', authorityKeyId: parse(root).subjectKeyId });
    expect(parse(device)).toMatchObject({
      commonName: 'sensor-thl-002',
      isCa: false,
      keyUsage: new Set(['digitalSignature']),
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
      authorityKeyId: parse(int).subjectKeyId,
    });
    expect(parse(server)).toMatchObject({ commonName: 'localhost', extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] });
    expect(parse(server).subjectAlternativeNames.map((name) => name.form)).toEqual(['dns', 'ip', 'ip', 'dns']);
  });

  test('comes with its issuers, without the root', () => {
    const names = (issued: IssuedCertificate) => parseCertificateUpload(issued.chainPem).map((certificate) => certificate.commonName);
    expect(names(root)).toEqual(['Test Root']);
    expect(names(int)).toEqual(['Test Intermediate']);
    expect(names(device)).toEqual(['sensor-thl-002', 'Test Intermediate']);
  });

  test('has the dates and the serial number that were asked for', async () => {
    const serialBytes = Buffer.alloc(16, 0xff);
    const far = await createDeviceCertificate({
      ...basics(),
      commonName: 'x',
      serialBytes,
      notBefore: instant(Date.UTC(2049, 11, 31)),
      notAfter: instant(Date.UTC(2050, 0, 1, 1, 2, 3)),
    });
    expect(parse(far)).toMatchObject({
      serialNumber: `7F${'FF'.repeat(15)}`,
      notBefore: Date.UTC(2049, 11, 31),
      notAfter: Date.UTC(2050, 0, 1, 1, 2, 3),
    });
    const zero = await createDeviceCertificate({ ...basics(), commonName: 'x', serialBytes: Buffer.alloc(16) });
    expect(parse(zero).serialNumber).toBe(`40${'00'.repeat(15)}`);
  });

  test('a device without an issuer signs for itself', async () => {
    const alone = parse(await createDeviceCertificate({ ...basics(), commonName: 'sensor, "7"\u00e9' }));
    expect(alone.commonName).toBe('sensor, "7"\u00e9');
    expect(verifyPath(alone, { intermediates: [], anchors: [alone], at: instant(now) })).toMatchObject({ ok: true });
  });

  test('a verification certificate proves possession', async () => {
    const verificationCode = '75B86466DA34D2B04C0C4C9557A119687ADAE7D4732BDDB3';
    const proof = parse(await createVerificationCertificate({ ...basics(), verificationCode, issuer: root }));
    expect(verifyProofOfPossession({ ca: parse(root), proof, verificationCode, at: instant(now) })).toEqual({ ok: true });
  });

  test('RSA keys', async () => {
    const rsaRoot = await createRootCertificate({ ...basics(), keyType: 'rsa2048', commonName: 'RSA Root' });
    const leaf = await createDeviceCertificate({ ...basics(), keyType: 'rsa2048', commonName: 'x', issuer: rsaRoot });
    expect(parse(leaf)).toMatchObject({ publicKey: { rsaBits: 2048 }, keyUsage: new Set(['digitalSignature', 'keyEncipherment']) });
    expect(verifyPath(parse(leaf), { intermediates: [], anchors: [parse(rsaRoot)], at: instant(now) })).toMatchObject({ ok: true });
    openssl.write('rsa-root.pem', rsaRoot.certificatePem);
    expect(
      (await openssl.run('verify', '-x509_strict', '-CAfile', 'rsa-root.pem', openssl.write('rsa.pem', leaf.certificatePem))).code,
    ).toBe(0);
  });
});

describe('issuers made with openssl', () => {
  // As certGen.sh makes them: an encrypted key, a name of several parts, printable strings.
  const make = async (...newKey: readonly string[]): Promise<Issuer & { readonly passphrase: string }> => {
    openssl.write(
      'c.cnf',
      '[req]\ndistinguished_name=dn\nx509_extensions=v3\nstring_mask=pkix\n[dn]\n[v3]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n',
    );
    const made = await openssl.run(
      'req',
      '-x509',
      '-config',
      'c.cnf',
      ...newKey,
      '-keyout',
      'ca.key',
      '-passout',
      'pass:1234',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/C=DE/O=Acme, Inc./CN=Foreign CA',
    );
    expect(made.code, made.output).toBe(0);
    const read = async (file: string): Promise<string> => (await openssl.run('enc', '-in', file)).output;
    return { certificatePem: await read('ca.pem'), privateKeyPem: await read('ca.key'), passphrase: '1234' };
  };

  test.each([
    ['RSA', ['-newkey', 'rsa:2048']],
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']],
    ['Ed25519', ['-newkey', 'ed25519']],
  ])('sign with %s', async (_, newKey) => {
    const issuer = await make(...newKey);
    const leaf = await createDeviceCertificate({ ...basics(), commonName: 'x', issuer });
    expect(parse(leaf).issuer).toBe('CN=Foreign CA, O="Acme, Inc.", C=DE');
    expect((await openssl.run('verify', '-CAfile', 'ca.pem', openssl.write('x.pem', leaf.certificatePem))).output).toBe('x.pem: OK\n');
    expect(
      verifyPath(parse(leaf), { intermediates: [], anchors: parseCertificateUpload(issuer.certificatePem), at: instant(now + hour / 2) }),
    ).toMatchObject({ ok: true });
  });

  test('are refused without the pass phrase', async () => {
    const { certificatePem, privateKeyPem } = await make('-newkey', 'ed25519');
    await expect(createDeviceCertificate({ ...basics(), commonName: 'x', issuer: { certificatePem, privateKeyPem } })).rejects.toThrow(
      'is encrypted',
    );
    await expect(
      createDeviceCertificate({ ...basics(), commonName: 'x', issuer: { certificatePem, privateKeyPem, passphrase: 'wrong' } }),
    ).rejects.toThrow('with this pass phrase');
  });
});

describe('refused', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    ['an empty common name', () => createRootCertificate({ ...basics(), commonName: '' }), 'common name'],
    [
      'an end before the beginning',
      () => createRootCertificate({ ...basics(), commonName: 'x', notAfter: instant(now - 2 * hour) }),
      'end after it begins',
    ],
    [
      'the key of somebody else',
      () => createDeviceCertificate({ ...basics(), commonName: 'x', issuer: { ...root, privateKeyPem: int.privateKeyPem } }),
      'does not belong',
    ],
    ['an issuer that is no CA', () => createDeviceCertificate({ ...basics(), commonName: 'x', issuer: device }), 'is not a CA'],
    [
      'a key that is none',
      () => createDeviceCertificate({ ...basics(), commonName: 'x', issuer: { ...root, privateKeyPem: 'x' } }),
      'cannot be read',
    ],
    ['a server without names', () => createServerCertificate({ ...basics(), names: [], issuer: root }), 'at least one name'],
    [
      'a server name with a blank',
      () => createServerCertificate({ ...basics(), names: ['my host'], issuer: root }),
      'neither a DNS name nor',
    ],
  ])('%s', async (_, create, message) => {
    await expect(create()).rejects.toThrow(ServiceError);
    await expect(create()).rejects.toThrow(message);
  });
});

describe('TLS, both sides verifying', () => {
  let listener: Server;
  beforeAll(async () => {
    listener = createServer(
      { key: server.privateKeyPem, cert: server.chainPem, ca: root.certificatePem, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        socket.end(String(socket.getPeerCertificate().subject.CN));
      },
    );
    listener.listen(0, '::');
    await once(listener, 'listening');
  });
  afterAll(() => void listener.close());

  const open = (options: { host: string; servername?: string; ca?: string }): TLSSocket =>
    connect({
      port: (listener.address() as AddressInfo).port,
      ca: root.certificatePem,
      key: device.privateKeyPem,
      cert: device.chainPem,
      ...options,
    });

  test.each(['localhost', '127.0.0.1', '::1'])('%s', async (host) => {
    const socket = open({ host });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    const [greeting] = await once(socket, 'data');
    expect(String(greeting)).toBe('sensor-thl-002');
    socket.destroy();
  });

  test('a wildcard name', async () => {
    const socket = open({ host: '127.0.0.1', servername: 'a.hubs.localhost' });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    socket.destroy();
  });

  test('not under another name', async () => {
    const [error] = await once(open({ host: '127.0.0.1', servername: 'elsewhere.localhost' }), 'error').catch((thrown: unknown) => [
      thrown,
    ]);
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test('not under another root', async () => {
    const other = await createRootCertificate({ ...basics(), commonName: 'Test Root' });
    const [error] = await once(open({ host: 'localhost', ca: other.certificatePem }), 'error').catch((thrown: unknown) => [thrown]);
    expect(error).toMatchObject({ code: expect.stringMatching(/UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY)/u) });
  });
});
