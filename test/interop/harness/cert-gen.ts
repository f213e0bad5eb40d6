import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** PEM texts; `certificate` is the leaf alone, as the profile's device files are. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
  readonly certificatePath: string;
  readonly keyPath: string;
}

/**
 * Certificates by the real `openssl` in the profile that Azure's sample scripts use: RSA-4096, 30 days, small serial
 * numbers, CA:FALSE that is not critical, Netscape extensions, and device files with the leaf alone.
 */
export class CertGen {
  private readonly folder: string;
  private serial = 1;
  private deviceKey: Promise<string> | undefined;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'profile.cnf'), profile);
  }

  root(name: string): Promise<Issued> {
    return this.authority(name, undefined);
  }

  intermediate(name: string, issuer: Issued): Promise<Issued> {
    return this.authority(name, issuer);
  }

  /** Devices share one key: making a 4096-bit key takes seconds, and nothing here depends on it. */
  async device(name: string, issuer: Issued, days = ['-days', '30']): Promise<Issued> {
    this.deviceKey ??= this.newKey('device');
    const keyPath = await this.deviceKey;
    return await this.sign({ name, keyPath, issuer, section: 'usr_cert', days });
  }

  private async authority(name: string, issuer: Issued | undefined): Promise<Issued> {
    const keyPath = await this.newKey(name.replaceAll(' ', '-'));
    return await this.sign({ name, keyPath, issuer, section: 'v3_ca', days: ['-days', '30'] });
  }

  private async newKey(name: string): Promise<string> {
    const path = join(this.folder, `${name}.key.pem`);
    await run('openssl', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096', '-out', path]);
    return path;
  }

  private async sign(order: {
    name: string;
    keyPath: string;
    issuer: Issued | undefined;
    section: string;
    days: readonly string[];
  }): Promise<Issued> {
    const serial = this.serial++;
    const stem = join(this.folder, `${serial}-${order.name.replaceAll(' ', '-')}`);
    const request = ['-new', '-key', order.keyPath, '-subj', `/CN=${order.name}`, '-sha256', '-out', `${stem}.csr.pem`];
    await run('openssl', ['req', '-config', join(this.folder, 'profile.cnf'), ...request]);
    const signer =
      order.issuer === undefined ? ['-signkey', order.keyPath] : ['-CA', order.issuer.certificatePath, '-CAkey', order.issuer.keyPath];
    const extensions = ['-extfile', join(this.folder, 'profile.cnf'), '-extensions', order.section];
    const certificatePath = `${stem}.cert.pem`;
    await run('openssl', [
      'x509',
      '-req',
      '-in',
      `${stem}.csr.pem`,
      ...signer,
      '-set_serial',
      String(serial),
      '-sha256',
      ...order.days,
      ...extensions,
      '-out',
      certificatePath,
    ]);
    return {
      certificate: readFileSync(certificatePath, 'utf8'),
      key: readFileSync(order.keyPath, 'utf8'),
      certificatePath,
      keyPath: order.keyPath,
    };
  }
}

const profile = `
[req]
distinguished_name = name
prompt = no
[name]
CN = overridden
[v3_ca]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, cRLSign, keyCertSign
[usr_cert]
basicConstraints = CA:FALSE
nsCertType = client, email
nsComment = "OpenSSL Generated Client Certificate"
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
keyUsage = critical, nonRepudiation, digitalSignature, keyEncipherment
extendedKeyUsage = clientAuth, emailProtection
`;
