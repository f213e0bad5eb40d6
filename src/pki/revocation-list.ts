import type { Instant } from '../kernel/clock.ts';
import { CertificateFormatError } from './certificate-format-error.ts';
import { type CertificateSignature, readAlgorithm, serialText } from './certificate.ts';
import { contextConstructed, DerReader, readOid, readFlag, readWholeBits, smallInteger, tags } from './der.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';
import { readTime } from './time.ts';

/** One certificate that a CA has taken back. */
export interface RevokedCertificate {
  /** As `Certificate.serialNumber`. */
  readonly serialNumber: string;
  readonly revokedAt: Instant;
  /** CRLReason (RFC 5280 5.3.1): 6 is on hold, 8 takes the entry of an earlier list away. Absent: unspecified. */
  readonly reasonCode?: number;
}

/** A certificate revocation list (RFC 5280 section 5), read. Its signature has not been verified. */
export interface RevocationList {
  readonly issuerName: DistinguishedName;
  readonly thisUpdate: Instant;
  readonly nextUpdate?: Instant;
  readonly revoked: readonly RevokedCertificate[];
  readonly signature: CertificateSignature;
}

const reasonCodeOid = '2.5.29.21';
const certificateIssuerOid = '2.5.29.29';

/** Reads a CRL in DER, also a delta. Throws `CertificateFormatError`, for an indirect CRL as well: its entries have other issuers. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  try {
    return readList(Buffer.from(der));
  } catch (error) {
    if (!(error instanceof CertificateFormatError)) throw error;
    throw new CertificateFormatError(error.message.replace('a valid certificate:', 'a valid certificate revocation list:'), {
      cause: error,
    });
  }
}

function readList(bytes: Buffer): RevocationList {
  const file = new DerReader(bytes);
  const outer = file.enter(tags.sequence, 'the list');
  file.finish('the list');
  const { der: tbs } = outer.element('the signed part');
  const { algorithmDer, ...fields } = readSigned(tbs);
  const algorithm = readAlgorithm(outer);
  const value = readWholeBits(outer, 'the signature');
  outer.finish('the list');
  return { ...fields, signature: { tbs, value, algorithmsAgree: algorithm.der.equals(algorithmDer), ...algorithm.identifier } };
}

function readSigned(der: Buffer): Omit<RevocationList, 'signature'> & { readonly algorithmDer: Buffer } {
  const tbs = new DerReader(der).enter(tags.sequence, 'the signed part');
  if (tbs.at(tags.integer)) smallInteger(tbs.content(tags.integer, 'the version'), 'the version');
  const algorithmDer = readAlgorithm(tbs).der;
  const issuerName = readName(tbs, 'the issuer');
  const thisUpdate = readTime(tbs, 'the date');
  const hasNext = tbs.at(tags.utcTime) || tbs.at(tags.generalizedTime);
  const nextUpdate = hasNext ? { nextUpdate: readTime(tbs, 'the date of the next list') } : {};
  const revoked: RevokedCertificate[] = [];
  if (tbs.at(tags.sequence)) {
    const entries = tbs.enter(tags.sequence, 'the entries');
    while (!entries.done) revoked.push(readEntry(entries.enter(tags.sequence, 'an entry')));
  }
  if (tbs.at(contextConstructed(0))) tbs.skip('the extensions');
  tbs.finish('the signed part');
  return { algorithmDer, issuerName, thisUpdate, revoked, ...nextUpdate };
}

function readEntry(entry: DerReader): RevokedCertificate {
  const serialNumber = serialText(entry.content(tags.integer, 'a serial number'));
  const revokedAt = readTime(entry, 'a date of revocation');
  const reasonCode = entry.done ? undefined : readReason(entry.enter(tags.sequence, 'the extensions of an entry'));
  entry.finish('an entry');
  return { serialNumber, revokedAt, ...(reasonCode === undefined ? {} : { reasonCode }) };
}

function readReason(extensions: DerReader): number | undefined {
  let reason: number | undefined;
  while (!extensions.done) {
    const extension = extensions.enter(tags.sequence, 'an extension of an entry');
    const oid = readOid(extension, 'an extension of an entry');
    readFlag(extension, 'an extension of an entry');
    const value = extension.content(tags.octetString, 'an extension of an entry');
    if (oid === certificateIssuerOid)
      throw new CertificateFormatError(
        'This list has entries of other issuers (an indirect CRL), which are not read. Take the list of each issuer.',
      );
    if (oid === reasonCodeOid) reason = new DerReader(value).content(tags.enumerated, 'a reason')[0];
  }
  return reason;
}
