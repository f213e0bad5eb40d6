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
  const [first] = certificates;
  const token = sasToken === undefined || sasToken === '' ? {} : { sasToken };
  if (first === undefined) return token;
  const leaf = readCertificate(first);
  return { ...token, chain: leaf === undefined ? 'unreadable' : new SentChain(leaf, certificates) };
}

/** Of most devices the leaf says everything, so the others are not read before somebody asks. */
class SentChain implements ShownChain {
  readonly leaf: Certificate;
  readonly #sent: Iterable<Uint8Array>;
  #others: readonly Certificate[] | undefined;

  constructor(leaf: Certificate, sent: Iterable<Uint8Array>) {
    this.leaf = leaf;
    this.#sent = sent;
  }

  get others(): readonly Certificate[] {
    this.#others ??= [...this.#sent]
      .slice(1, maxSentCertificates)
      .map(readCertificate)
      .filter((certificate) => certificate !== undefined);
    return this.#others;
  }
}

function readCertificate(der: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(der);
  } catch (error) {
    if (error instanceof CertificateFormatError) return undefined;
    throw error;
  }
}
