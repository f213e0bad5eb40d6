import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { instant } from '../src/kernel/clock.ts';
import {
  createDeviceCertificate,
  createIntermediateCertificate,
  createRootCertificate,
  createServerCertificate,
  type IssuedCertificate,
  type Issuer,
} from '../src/pki/issue.ts';

/** The name that every server of a run is reached and verified under. */
export const serverName = 'localhost';

export interface Files {
  /** Leaf first, then its intermediate. */
  readonly certificate: string;
  readonly key: string;
}

/** Paths of PEM files: one root, one intermediate, a server and devices; all keys are P-256. */
export interface Material {
  readonly folder: string;
  readonly root: string;
  readonly intermediate: string;
  readonly server: Files;
  readonly devices: readonly (Files & { readonly id: string })[];
}

const day = 24 * 60 * 60 * 1000;

/** How long certificates are good for, and how long they are used again. */
const validity = 30 * day;
const reuse = 20 * day;

/** The same certificates as the last time, when they are there; in a folder for this one count. */
export async function obtainMaterial(folder: string, deviceCount: number): Promise<Material> {
  const list = join(folder, 'material.json');
  if (existsSync(list) && Date.now() - statSync(list).mtimeMs < reuse) return JSON.parse(readFileSync(list, 'utf8')) as Material;
  rmSync(folder, { recursive: true, force: true });
  const material = await makeMaterial(join(folder, 'pki'), deviceCount);
  writeFileSync(list, JSON.stringify(material));
  return material;
}

async function makeMaterial(folder: string, deviceCount: number): Promise<Material> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const rootCertificate = await createRootCertificate(named('bench root'));
  const intermediateCertificate = await createIntermediateCertificate({
    ...named('bench intermediate'),
    issuer: issuerOf(rootCertificate),
  });
  const issuer = issuerOf(intermediateCertificate);
  const server = await createServerCertificate({ ...unnamed(), names: [serverName], issuer });
  const devices = [];
  for (let number = 0; number < deviceCount; number += 1) {
    const id = `bench-${String(number).padStart(6, '0')}`;
    devices.push({ id, ...write(folder, id, await createDeviceCertificate({ ...named(id), issuer })) });
  }
  return {
    folder,
    root: write(folder, 'root', rootCertificate).certificate,
    intermediate: write(folder, 'intermediate', intermediateCertificate).certificate,
    server: write(folder, 'server', server),
    devices,
  };
}

const issuerOf = ({ chainPem, privateKeyPem }: IssuedCertificate): Issuer => ({ certificatePem: chainPem, privateKeyPem });

function unnamed() {
  const now = Date.now();
  const serialBytes = randomBytes(16);
  return { keyType: 'p256', notBefore: instant(now - day), notAfter: instant(now + validity), serialBytes } as const;
}

const named = (commonName: string) => ({ commonName, ...unnamed() });

function write(folder: string, name: string, { certificatePem, chainPem, privateKeyPem }: IssuedCertificate): Files {
  const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  // A root sends itself nowhere, but is what others are verified by.
  writeFileSync(files.certificate, chainPem === '' ? certificatePem : chainPem);
  writeFileSync(files.key, privateKeyPem, { mode: 0o600 });
  return files;
}
