import { createHash } from 'node:crypto';

import type { Instant } from '../kernel/clock.ts';
import { CertificateFormatError } from './certificate-format-error.ts';
import { contextConstructed, contextPrimitive, damaged, DerReader, readOid, readWholeBits, smallInteger, tags } from './der.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';
import { type Extensions, noExtensions, readExtensions } from './extensions.ts';
import { type PublicKey, readPublicKey } from './public-key.ts';
import { readTime } from './time.ts';

/** An X.509 certificate, read once. Nothing about it has been verified: that is what `verifyPath` is for. */
export interface Certificate extends Extensions {
  /** A copy that nobody else holds; do not write to it. */
  readonly der: Uint8Array;
  /** Upper-case hex of the SHA-1 of `der`; a name that Azure uses, not a proof of anything. */
  readonly sha1: string;
  /** Upper-case hex of the SHA-256 of `der`. */
  readonly sha256: string;
  /**
   * Upper-case hex of the SHA-256 of the signed part. Whoever must not get away by presenting the same certificate in other
   * bytes is told by this: from one ECDSA signature anybody computes a second valid one, and `sha256` changes with it.
   */
  readonly tbsSha256: string;
  /** Upper-case hex of the SHA-256 of the SubjectPublicKeyInfo; stays when a certificate is re-issued. */
  readonly publicKeySha256: string;
  /** .NET's text, last RDN first: `CN=a, O=b`. For people; compare `subjectKey`. */
  readonly subject: string;
  readonly issuer: string;
  /** Equal exactly for names that chain (RFC 5280 7.1). */
  readonly subjectKey: string;
  readonly issuerKey: string;
  /** Last CN of the subject. */
  readonly commonName: string | undefined;
  /** Upper-case hex in whole bytes, without a sign byte. Unique for one issuer at best. */
  readonly serialNumber: string;
  /** 1, 2 or 3. */
  readonly version: number;
  readonly notBefore: Instant;
  /** The last second at which the certificate is valid. */
  readonly notAfter: Instant;
  readonly subjectName: DistinguishedName;
  readonly publicKey: PublicKey;
  readonly signature: CertificateSignature;
}

export interface CertificateSignature {
  /** The bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly value: Uint8Array;
  /** Object identifier of the outer signatureAlgorithm. */
  readonly algorithm: string;
  /** DER of its parameters, if it has any. */
  readonly parameters?: Uint8Array;
  /** Whether the algorithm inside the signed part is the same (RFC 5280 4.1.1.2). */
  readonly algorithmsAgree: boolean;
}

/** A certificate larger than this is refused unread. Real ones have one to four KiB. */
export const maxCertificateBytes = 65_536;

/** Reads one DER certificate; throws `CertificateFormatError` for everything else. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > maxCertificateBytes) throw new CertificateFormatError(`This certificate is larger than ${maxCertificateBytes} bytes.`);
  const bytes = Buffer.from(der);
  const file = new DerReader(bytes);
  const outer = file.enter(tags.sequence, 'the certificate');
  file.finish('the certificate');
  const { der: tbs } = outer.element('the signed part');
  const fields = readTbs(tbs);
  const algorithm = readAlgorithm(outer);
  const value = readWholeBits(outer, 'the signature');
  outer.finish('the certificate');
  const { algorithmDer, subjectName, issuerName, extensions, publicKey, ...rest } = fields;
  return {
    der: bytes,
    sha1: digest('sha1', bytes),
    sha256: digest('sha256', bytes),
    tbsSha256: digest('sha256', tbs),
    publicKey,
    publicKeySha256: publicKey.sha256,
    subjectName,
    subject: subjectName.text,
    issuer: issuerName.text,
    subjectKey: subjectName.key,
    issuerKey: issuerName.key,
    commonName: subjectName.commonName,
    ...rest,
    ...extensions,
    signature: {
      tbs,
      value,
      algorithmsAgree: algorithm.der.equals(algorithmDer),
      ...algorithm.identifier,
    },
  };
}

/** Whether subject and issuer are the same name; such intermediates do not count towards path lengths. */
export function isSelfIssued(certificate: Certificate): boolean {
  return certificate.subjectKey === certificate.issuerKey;
}

function readTbs(der: Buffer) {
  const tbs = new DerReader(der).enter(tags.sequence, 'the signed part');
  const version = readVersion(tbs);
  const serialNumber = serialText(tbs.content(tags.integer, 'the serial number'));
  const algorithmDer = readAlgorithm(tbs).der;
  const issuerName = readName(tbs, 'the issuer');
  const validity = tbs.enter(tags.sequence, 'the validity');
  const notBefore = readTime(validity, 'the start of validity');
  const notAfter = readTime(validity, 'the end of validity');
  validity.finish('the validity');
  const subjectName = readName(tbs, 'the subject');
  const publicKey = readPublicKey(tbs);
  skipUniqueIds(tbs, version);
  const extensions = readOptionalExtensions(tbs, version);
  tbs.finish('the signed part');
  return {
    version,
    serialNumber,
    algorithmDer,
    issuerName,
    notBefore,
    notAfter,
    subjectName,
    publicKey,
    extensions,
  };
}

function readVersion(tbs: DerReader): number {
  if (!tbs.at(contextConstructed(0))) return 1;
  const wrapper = tbs.enter(contextConstructed(0), 'the version');
  const version = smallInteger(wrapper.content(tags.integer, 'the version'), 'the version') + 1;
  wrapper.finish('the version');
  if (version > 3) throw damaged('the version', `is ${version}; versions 1 to 3 exist`);
  return version;
}

/** An AlgorithmIdentifier, as it stands before and after whatever is signed. */
export function readAlgorithm(reader: DerReader): {
  der: Buffer;
  identifier: { algorithm: string; parameters?: Uint8Array };
} {
  const what = 'the signature algorithm';
  const { der } = reader.element(what);
  const sequence = new DerReader(der).enter(tags.sequence, what);
  const algorithm = readOid(sequence, what);
  const parameters = sequence.done ? undefined : sequence.element(what).der;
  sequence.finish(what);
  return { der, identifier: parameters === undefined ? { algorithm } : { algorithm, parameters } };
}

// RFC 5280 4.1.2.8: obsolete, but legal from version 2 on.
function skipUniqueIds(tbs: DerReader, version: number): void {
  for (const tag of [contextPrimitive(1), contextPrimitive(2)]) {
    if (!tbs.at(tag)) continue;
    if (version < 2) throw damaged('a unique identifier', 'needs version 2');
    tbs.content(tag, 'a unique identifier', tags.bitString);
  }
}

function readOptionalExtensions(tbs: DerReader, version: number): Extensions {
  if (tbs.done) return noExtensions;
  const wrapper = tbs.enter(contextConstructed(3), 'the extensions');
  if (version !== 3) throw damaged('the extensions', 'need version 3');
  const extensions = readExtensions(wrapper);
  wrapper.finish('the extensions');
  return extensions;
}

/** A serial number as it is compared and shown: upper-case hex in whole bytes. */
export function serialText(content: Buffer): string {
  // The sign byte says nothing about the number; RFC 5280 4.1.2.2 asks readers to bear negative ones, too.
  const digits = content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
  return digits.toString('hex').toUpperCase();
}

function digest(algorithm: 'sha1' | 'sha256', bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex').toUpperCase();
}
