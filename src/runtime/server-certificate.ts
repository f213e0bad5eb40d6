import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Clock, hours, instant, type Milliseconds, minutes, plus } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createRootCertificate, createServerCertificate } from '../pki/issue.ts';
import type { DataFolder } from './data-folder.ts';

export interface ServerIdentity {
  /** PEM, leaf first. */
  readonly cert: string;
  readonly key: string;
  /** Path of the PEM that clients must trust. */
  readonly caPath: string;
}

const days = (count: number): Milliseconds => hours(count * 24);
const caDays = 3650;
const serverDays = 365;
const renewBeforeDays = 60;
/** Every service answers to these, beside the names it was given. */
const loopbackNames = ['localhost', '127.0.0.1', '::1'];

/** Reads the certificate that the configuration names. Throws `ArgumentInvalid` when it is unusable. */
export function readServerIdentity(files: { readonly certificate: string; readonly key: string }): ServerIdentity {
  try {
    const cert = readFileSync(files.certificate, 'utf8');
    const key = readFileSync(files.key, 'utf8');
    const matches = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
    if (!matches) throw new Error('the key does not belong to the certificate');
    return { cert, key, caPath: files.certificate };
  } catch (error) {
    const sentence = `The server certificate ${files.certificate} with key ${files.key} cannot be used: ${(error as Error).message}.`;
    throw new ServiceError('ArgumentInvalid', sentence);
  }
}

/**
 * The certificate of the local CA for `localhost`, both loopback addresses and `names`. The CA is made once and kept; the
 * server certificate is issued anew when a name is missing or its end is near.
 */
export async function issueServerIdentity(deps: {
  readonly folder: DataFolder;
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly ids: Ids;
}): Promise<ServerIdentity> {
  const { folder, clock, ids } = deps;
  const ca = await localCa(deps);
  const names = [...new Set([...loopbackNames, ...deps.names.map((name) => name.toLowerCase())])];
  const caPath = folder.file('pki', 'ca.cert.pem');
  const cert = folder.read('pki', 'server.cert.pem');
  const key = folder.read('pki', 'server.key.pem');
  if (cert !== undefined && key !== undefined && isCurrent(cert, key, { names, clock, ca: ca.certificatePem }))
    return { cert, key, caPath };
  const issued = await createServerCertificate({
    names,
    keyType: 'p256',
    notBefore: plus(clock.now(), minutes(-10)),
    notAfter: plus(clock.now(), days(serverDays)),
    serialBytes: ids.bytes(16),
    issuer: ca,
  });
  folder.write(issued.privateKeyPem, 'pki', 'server.key.pem');
  folder.write(issued.certificatePem, 'pki', 'server.cert.pem');
  return { cert: issued.certificatePem, key: issued.privateKeyPem, caPath };
}

async function localCa(deps: {
  readonly folder: DataFolder;
  readonly clock: Clock;
  readonly ids: Ids;
}): Promise<{ certificatePem: string; privateKeyPem: string }> {
  const { folder, clock, ids } = deps;
  const certificatePem = folder.read('pki', 'ca.cert.pem');
  const privateKeyPem = folder.read('pki', 'ca.key.pem');
  if (certificatePem !== undefined && privateKeyPem !== undefined) return { certificatePem, privateKeyPem };
  const root = await createRootCertificate({
    commonName: `Muster local CA ${Buffer.from(ids.bytes(4)).toString('hex')}`,
    keyType: 'p256',
    notBefore: plus(clock.now(), minutes(-10)),
    notAfter: plus(clock.now(), days(caDays)),
    serialBytes: ids.bytes(16),
    pathLength: 0,
  });
  // The key first: a certificate without its key would be kept for ever and could issue nothing.
  folder.write(root.privateKeyPem, 'pki', 'ca.key.pem');
  folder.write(root.certificatePem, 'pki', 'ca.cert.pem');
  return root;
}

function isCurrent(
  cert: string,
  key: string,
  wanted: { readonly names: readonly string[]; readonly clock: Clock; readonly ca: string },
): boolean {
  const certificate = new X509Certificate(cert);
  if (!certificate.checkPrivateKey(createPrivateKey(key)) || !certificate.verify(new X509Certificate(wanted.ca).publicKey)) return false;
  if (instant(Date.parse(certificate.validTo)) < plus(wanted.clock.now(), days(renewBeforeDays))) return false;
  return wanted.names.every((name) => (/^[\d.]+$|:/u.test(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined);
}
