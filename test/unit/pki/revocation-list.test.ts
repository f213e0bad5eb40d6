import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { CertificateFormatError } from '../../../src/pki/certificate-format-error.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { parseRevocationList } from '../../../src/pki/revocation-list.ts';
import { verifySignedBy } from '../../../src/pki/signature.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { type OpenSsl, openOpenSsl } from '../../fixtures/pki/openssl.ts';

let openssl: OpenSsl;
const root = make({ subject: 'Root of lists', key: ecKey(), ca: true });
const stranger = make({ subject: 'Root of lists', key: ecKey(), ca: true });
let list: Buffer;
let empty: Buffer;

/** Lists as the real `openssl ca` writes them, from a database in its own format. */
beforeAll(async () => {
  openssl = openOpenSsl();
  openssl.write('root.pem', root.pem);
  openssl.write('root.key', root.key.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  openssl.write('ca.cnf', '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=30\ncrlnumber=number\n');
  openssl.write('number', '01\n');
  const lines = [
    ['300101000000Z', '260601120000Z', '0A1B'],
    ['300101000000Z', '260601120000Z,keyCompromise', '00D2C3'],
    ['300101000000Z', '260601120000Z,holdInstruction,holdInstructionReject', '7F'],
  ];
  list = await written(lines.map(([until, revoked, serial]) => `R\t${until}\t${revoked}\t${serial}\tunknown\t/CN=x`).join('\n'));
  empty = await written('');
});
afterAll(() => openssl.close());

async function written(database: string): Promise<Buffer> {
  openssl.write('index', database === '' ? '' : `${database}\n`);
  const made = await openssl.run('ca', '-config', 'ca.cnf', '-gencrl', '-keyfile', 'root.key', '-cert', 'root.pem', '-out', 'list.pem');
  expect(made).toMatchObject({ code: 0 });
  const shown = await openssl.run('crl', '-in', 'list.pem');
  return Buffer.from(/-----BEGIN X509 CRL-----(.*?)-----END/su.exec(shown.output)?.[1] ?? '', 'base64');
}

describe('a revocation list of openssl', () => {
  test('is read: issuer, dates, serial numbers, reasons', () => {
    const read = parseRevocationList(list);
    expect(read.issuerName.key).toBe(root.certificate.subjectKey);
    // In the order of their numbers, as openssl sorts them.
    expect(read.revoked.map(({ serialNumber, reasonCode }) => [serialNumber, reasonCode])).toEqual([
      ['7F', 6],
      ['0A1B', undefined],
      ['D2C3', 1],
    ]);
    expect(read.revoked[0]?.revokedAt).toBe(Date.UTC(2026, 5, 1, 12));
    expect((read.nextUpdate ?? 0) - read.thisUpdate).toBe(30 * 24 * 3600 * 1000);
  });

  test('may be empty', () => {
    expect(parseRevocationList(empty).revoked).toEqual([]);
  });

  test('is signed by its issuer, and by no namesake', () => {
    const { signature } = parseRevocationList(list);
    expect(verifySignedBy(signature, parseCertificate(root.der))).toBe('valid');
    expect(verifySignedBy(signature, parseCertificate(stranger.der))).not.toBe('valid');
    const forged = Buffer.from(list);
    const at = forged.indexOf(Buffer.from('0A1B', 'hex'));
    forged[at + 1] = 0x1c;
    expect(verifySignedBy(parseRevocationList(forged).signature, parseCertificate(root.der))).not.toBe('valid');
  });

  test('that is damaged is refused as such, and never breaks the reader', () => {
    const damage = fc.oneof(
      fc.record({ at: fc.nat({ max: list.length - 1 }), byte: fc.integer({ min: 0, max: 255 }) }).map(({ at, byte }) => {
        const damaged = Buffer.from(list);
        damaged[at] = byte;
        return damaged;
      }),
      fc.nat({ max: list.length - 1 }).map((length) => list.subarray(0, length)),
      fc.uint8Array({ maxLength: 200 }),
    );
    fc.assert(
      fc.property(damage, (bytes) => {
        try {
          parseRevocationList(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(CertificateFormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a certificate is none', () => {
    expect(() => parseRevocationList(root.der)).toThrow(CertificateFormatError);
  });
});
