import { createHash } from 'node:crypto';

import { LRUCache } from 'lru-cache';

import { parseSasToken } from '../access/sas-token.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { CertificateFormatError } from '../pki/certificate-format-error.ts';
import { parseStorageKey } from '../tpm/public-area.ts';
import { TpmFormatError } from '../tpm/tpm-format-error.ts';
import type { Presented, TrustMaterial } from './attestation/attestation.ts';
import type { ProvisioningTransaction } from './ports.ts';
import type { PresentedCredentials } from '../contracts/transport.ts';

/** Parsed certificates that operators stored: 25 CAs and 200 slots of groups per instance, and room for several instances. */
const storedCertificates = 4096;
/** Parsed certificates that peers sent lately, so that register and poll read and verify them once. Peers can turn this over, so it is apart. */
const presentedCertificates = 1024;
/** Certificates beside the leaf that are looked at. A path has at most ten. */
const sentCertificates = 10;

/** Parsed certificates by their SHA-256: signatures are remembered per object, so whoever reads the same ones should share it. */
export type CertificateCache = Pick<LRUCache<string, Certificate>, 'get' | 'set'>;

export const createCertificateCache = (): CertificateCache => new LRUCache<string, Certificate>({ max: storedCertificates });

export interface TrustReader {
  /** The trust material of an instance, parsed, as of the committed state that `stores` sees. */
  material(stores: Pick<ProvisioningTransaction, 'enrollments' | 'caCertificates'>, instance: string): Promise<TrustMaterial>;
  /** Reads what a peer sent. Never throws for what is in it. */
  presented(credentials: PresentedCredentials): Presented;
}

/**
 * Keeps certificates parsed. Signatures and keys are remembered per `Certificate` object, so the same bytes must stay
 * the same object for the memory to be of use.
 */
export function createTrustReader(stored: CertificateCache = createCertificateCache()): TrustReader {
  const sent = new LRUCache<string, Certificate>({ max: presentedCertificates });
  const materials = new Map<string, { readonly version: number; readonly material: TrustMaterial }>();

  const readStored = ({ der, sha256 }: { readonly der: Uint8Array; readonly sha256: string }): Certificate => {
    const certificate = stored.get(sha256) ?? parseCertificate(der);
    stored.set(sha256, certificate);
    return certificate;
  };

  const readSent = (der: Uint8Array): Certificate => {
    const sha256 = sha256Of(der);
    const known = stored.get(sha256) ?? sent.get(sha256);
    if (known !== undefined) return known;
    const certificate = parseCertificate(der);
    sent.set(sha256, certificate);
    return certificate;
  };

  return {
    material: async (stores, instance) => {
      // Version first: if a write comes between, newer rows are filed under the older version, and read again.
      const version = await stores.enrollments.trustVersion(instance);
      const known = materials.get(instance);
      if (known?.version === version) return known.material;
      const rows = await stores.caCertificates.list(instance);
      const signing = await stores.enrollments.signingCertificates(instance);
      const material = {
        caCertificates: rows.map((row) => ({ name: row.name, certificate: readStored(row), isVerified: row.isVerified })),
        signingCertificates: signing.map(readStored),
        symmetricKeyGroups: await stores.enrollments.symmetricKeyGroups(instance),
      };
      materials.set(instance, { version, material });
      return material;
    },
    presented: ({ certificates, sasToken, tpm }) => {
      const [leaf, ...others] = certificates;
      if (leaf === undefined) return tpm === undefined ? readToken(sasToken) : readTpm(tpm, sasToken);
      return orUnreadable(() => ({
        kind: 'x509',
        leaf: readSent(leaf),
        sent: others.slice(0, sentCertificates).flatMap(readable(readSent)),
      }));
    },
  };
}

/** A certificate that was kept as bytes alone. */
export function readKept(cache: CertificateCache, der: Uint8Array): Certificate {
  const sha256 = sha256Of(der);
  const certificate = cache.get(sha256) ?? parseCertificate(der);
  cache.set(sha256, certificate);
  return certificate;
}

function sha256Of(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex').toUpperCase();
}

function readTpm({ endorsementKey, storageRootKey }: NonNullable<PresentedCredentials['tpm']>, sasToken: string | undefined): Presented {
  try {
    const root = storageRootKey === undefined ? {} : { storageRootKey: parseStorageKey(storageRootKey) };
    const tpm = { endorsementKey: parseStorageKey(endorsementKey), ...root };
    const presented = readToken(sasToken);
    if (presented.kind === 'none') return { kind: 'tpm', tpm };
    return presented.kind === 'sas' ? { ...presented, tpm } : presented;
  } catch (error) {
    if (!(error instanceof TpmFormatError)) throw error;
    return { kind: 'unreadable', what: 'tpm', detail: `A key of the TPM that was presented cannot be read, ${error.message}.` };
  }
}

/** X.509 devices may send an empty password, and so may those that have nothing to show. */
function readToken(sasToken = ''): Presented {
  if (sasToken.trim() === '') return { kind: 'none' };
  const token = parseSasToken(sasToken);
  if (token !== undefined) return { kind: 'sas', token };
  const detail =
    'What was presented is no shared access signature: that begins with SharedAccessSignature and has the fields sr, sig and se.';
  return { kind: 'unreadable', what: 'token', detail };
}

/** A damaged certificate beside the leaf is a stranger like any other: it cannot help, so it does not count. */
function readable(read: (der: Uint8Array) => Certificate): (der: Uint8Array) => readonly Certificate[] {
  return (der) => {
    try {
      return [read(der)];
    } catch (error) {
      if (error instanceof CertificateFormatError) return [];
      throw error;
    }
  };
}

function orUnreadable(read: () => Presented): Presented {
  try {
    return read();
  } catch (error) {
    if (error instanceof CertificateFormatError) return { kind: 'unreadable', what: 'certificate', detail: error.message };
    throw error;
  }
}
