import type { PresentedCredentials } from '../contracts/transport.ts';
import { CertificateFormatError } from '../pki/certificate-format-error.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';

/** Beyond these nothing that a device sends can be a chain that anyone issued; reading them is only work. */
const maxSentCertificates = 16;

/** What a peer showed at a hub's door, read but not verified. */
export interface Shown {
  readonly sasToken?: string;
  readonly chain?: ShownChain | 'unreadable';
}

export interface ShownChain {
  readonly leaf: Certificate;
  /** Order, doubles and strangers do no harm. */
  readonly others: readonly Certificate[];
}

/** Reads what a peer sent. Never throws for what is in it. */
export function readShown({ certificates, sasToken }: PresentedCredentials): Shown {
  const [leaf, ...others] = certificates.slice(0, maxSentCertificates).map(readCertificate);
  const token = sasToken === undefined || sasToken === '' ? {} : { sasToken };
  if (certificates.length === 0) return token;
  if (leaf === undefined) return { ...token, chain: 'unreadable' };
  return { ...token, chain: { leaf, others: others.filter((certificate) => certificate !== undefined) } };
}

function readCertificate(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (error instanceof CertificateFormatError) return undefined;
    throw error;
  }
}
