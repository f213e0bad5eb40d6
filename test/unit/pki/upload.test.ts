import { createPublicKey } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { CertificateFormatError } from '../../../src/pki/certificate-format-error.ts';
import { toPem } from '../../../src/pki/pem.ts';
import { maxUploadCertificates, maxUploadCharacters, parseCertificateUpload } from '../../../src/pki/upload.ts';
import { ecKey, make, rsaKey } from '../../fixtures/pki/make-certificate.ts';
import { openOpenSsl } from '../../fixtures/pki/openssl.ts';

const ec = ecKey();
const rsa = rsaKey(1024);
const root = make({ subject: 'Root', key: ec, ca: true });
const leaf = make({ subject: 'leaf', key: rsa, issuer: root });
const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64');
const wrapped = (text: string): string => text.replace(/.{76}/gu, '$&\r\n');

describe('accepted', () => {
  test.each([
    ['PEM', leaf.pem],
    ['PEM with CRLF', leaf.pem.replaceAll('\n', '\r\n')],
    ['PEM without a last line feed', leaf.pem.trimEnd()],
    ['PEM whose line breaks became blanks', leaf.pem.replaceAll('\n', ' ')],
    ['PEM whose line breaks became \\n', leaf.pem.replaceAll('\n', '\\n')],
    ['PEM whose line breaks became \\r\\n', leaf.pem.replaceAll('\n', '\\r\\n')],
    ['PEM in one long line', `-----BEGIN CERTIFICATE-----\n${base64(leaf.der)}\n-----END CERTIFICATE-----`],
    ['PEM with text around it', `Bag Attributes\n    friendlyName: leaf\n${leaf.pem}subject=CN = leaf\n`],
    ['PEM with a byte order mark', `\uFEFF${leaf.pem}`],
    ['PEM with the old label', leaf.pem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')],
    ['base64 of DER', base64(leaf.der)],
    ['base64 of DER in lines', wrapped(base64(leaf.der))],
    ['base64 of DER without padding', base64(leaf.der).replaceAll('=', '')],
    ['base64 of DER with white space around it', `\n  ${base64(leaf.der)}  \n`],
    ['base64 of PEM', base64(leaf.pem)],
    ['base64 of PEM in lines', wrapped(base64(leaf.pem))],
    ['base64 of PEM with text above', base64(`Certificate:\n${leaf.pem}`)],
  ])('%s', (_, text) => expect(parseCertificateUpload(text).map((one) => one.sha256)).toEqual([leaf.certificate.sha256]));

  test.each([
    ['PEM', leaf.pem + root.pem],
    ['base64 of PEM', base64(leaf.pem + root.pem)],
  ])('several, in their order: %s', (_, text) =>
    expect(parseCertificateUpload(text).map((one) => one.commonName)).toEqual(['leaf', 'Root']),
  );
});

describe('refused, saying what it is instead', () => {
  const pkcs8 = ec.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const encrypted = rsa.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: '1234' }).toString();
  const spki = createPublicKey(ec.privateKey);
  const der = (pem: string): string => pem.replace(/-----[^-]+-----/gu, '');
  const pkcs1 = rsa.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString();
  const sec1 = ec.privateKey.export({ format: 'pem', type: 'sec1' }).toString();

  test.each([
    ['nothing', '', 'empty'],
    ['white space', ' \n\t ', 'empty'],
    ['words', 'my certificate', 'neither PEM'],
    ['a path', './sensor-thl-002-device.cert.pem', 'neither PEM'],
    ['JSON', '{"certificate":"MII="}', 'neither PEM'],
    ['base64 of words', base64('this is no certificate at all'), 'not a valid certificate'],
    ['base64 with a letter too many', 'AAAAA', 'neither PEM'],
    ['the URL alphabet', base64(leaf.der).replaceAll('+', '-').replaceAll('/', '_'), 'neither PEM'],
    ['a private key', pkcs8, 'This is a private key, not a certificate.'],
    ['a private key (PKCS#1)', pkcs1, 'This is a private key, not'],
    ['a private key (SEC 1)', sec1, 'This is a private key, not'],
    ['an encrypted private key', encrypted, 'private key, not'],
    ['a private key as base64', der(pkcs8), 'This is a private key, not'],
    ['a private key (PKCS#1) as base64', der(pkcs1), 'This is a private key, not'],
    ['a private key (SEC 1) as base64', der(sec1), 'This is a private key, not'],
    ['an encrypted private key as base64', der(encrypted), 'This is an encrypted private key, not'],
    ['a private key as base64 of PEM', base64(pkcs8), 'This is a private key, not'],
    ['a private key beside the certificate', pkcs8 + leaf.pem, 'remove it and send the certificate alone'],
    ['a private key behind the certificate', leaf.pem + pkcs1, 'remove it and send the certificate alone'],
    ['a public key', spki.export({ format: 'pem', type: 'spki' }).toString(), 'This is a public key, not'],
    ['a public key as base64', base64(spki.export({ format: 'der', type: 'spki' })), 'This is a public key, not'],
    [
      'a public key (PKCS#1) as base64',
      base64(createPublicKey(rsa.privateKey).export({ format: 'der', type: 'pkcs1' })),
      'This is a public key, not',
    ],
    ['an OpenSSL TRUSTED certificate', leaf.pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'), 'TRUSTED format'],
    ['a PEM block of something else', toPem(leaf.der, 'OPENSSH THING'), 'a PEM block "OPENSSH THING"'],
    ['PEM without its end', leaf.pem.slice(0, 400), 'cut off'],
    ['PEM with the wrong end', leaf.pem.replace('END CERTIFICATE', 'END PRIVATE KEY'), 'cut off'],
    ['PEM whose second certificate is cut', leaf.pem + root.pem.slice(0, 200), 'cut off'],
    ['PEM with a letter that base64 does not have', leaf.pem.replace('\nMII', '\nM!I'), 'other than base64'],
    ['PEM with nothing in it', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n', 'other than base64'],
    ['PEM with a begin line that is not one', '-----BEGIN certificate-----\nAAAA', 'BEGIN line cannot be read'],
    ['half of the DER', base64(leaf.der.subarray(0, 300)), 'cut off'],
    ['too much text', 'A'.repeat(maxUploadCharacters + 1), 'longer than'],
    ['too many certificates', leaf.pem.repeat(maxUploadCertificates + 1), 'more than'],
    ['a certificate that is too big', 'A'.repeat(100_000), 'larger than'],
  ])('%s', (_, text, message) => {
    expect(() => parseCertificateUpload(text)).toThrow(CertificateFormatError);
    expect(() => parseCertificateUpload(text)).toThrow(message);
  });

  test('signing requests, PKCS#12 and PKCS#7, as openssl writes them', async () => {
    const openssl = openOpenSsl();
    openssl.write('l.key', rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
    openssl.write('l.pem', leaf.pem);
    openssl.write('c.cnf', '[req]\ndistinguished_name = dn\n[dn]\n');
    const run = async (...args: readonly string[]): Promise<string> => {
      const { output } = await openssl.run('enc', '-base64', '-in', await made(...args));
      return output;
    };
    const made = async (...args: readonly string[]): Promise<string> => {
      const result = await openssl.run(...args, '-out', 'made');
      expect(result.code, result.output).toBe(0);
      return 'made';
    };
    const csr = await run('req', '-new', '-config', 'c.cnf', '-key', 'l.key', '-subj', '/CN=x', '-outform', 'DER');
    const pfx = await run('pkcs12', '-export', '-inkey', 'l.key', '-in', 'l.pem', '-passout', 'pass:1234');
    const p7b = await run('crl2pkcs7', '-nocrl', '-certfile', 'l.pem', '-outform', 'DER');
    openssl.close();
    expect(() => parseCertificateUpload(csr)).toThrow('This is a certificate signing request (CSR), not a certificate.');
    expect(() => parseCertificateUpload(toPem(Buffer.from(csr, 'base64'), 'CERTIFICATE REQUEST'))).toThrow('(CSR), not a certificate.');
    expect(() => parseCertificateUpload(pfx)).toThrow('This is a PKCS#12 file (.pfx, .p12), not a certificate.');
    expect(() => parseCertificateUpload(p7b)).toThrow('This is a PKCS#7 bundle, not a certificate.');
  });
});

test('no refusal repeats what was sent', () => {
  const refusal = (text: string): string => {
    try {
      return `accepted: ${parseCertificateUpload(text).length}`;
    } catch (error) {
      return String(error);
    }
  };
  for (const text of [
    leaf.pem.slice(0, 400),
    `secret ${leaf.pem.slice(100)}`,
    base64('secret secret secret'),
    ec.privateKey.export({ format: 'pem', type: 'sec1' }).toString(),
  ]) {
    expect(refusal(text)).toMatch(/^CertificateFormatError: This/u);
    expect(refusal(text)).not.toMatch(/secret|MII|MHc/u);
  }
});
