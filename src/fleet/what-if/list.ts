import type { Block, Selector } from '../../blocks/block.ts';
import { selectCertificate, selectThumbprint } from '../../blocks/keys.ts';
import { limits } from '../../contracts/limits.ts';
import type { Instant } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { CertificateFormatError } from '../../pki/certificate-format-error.ts';
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import { findPemBlocks } from '../../pki/pem.ts';
import { parseRevocationList, type RevocationList } from '../../pki/revocation-list.ts';
import { verifySignedBy } from '../../pki/signature.ts';
import type { BlockedChange } from './change.ts';

type GivenList = Extract<BlockedChange, { kind: 'list' }>;

/** A list of certificates as a block, which no store has. */
export interface ListedCertificates {
  readonly block: Block;
  readonly notes: readonly string[];
  /** Those that came whole, by their thumbprints. */
  readonly certificates: readonly Certificate[];
}

/** CRLReason removeFromCRL: the entry is taken away again (RFC 5280 5.3.1). */
const removed = 8;

/**
 * Reads a list in whatever form it comes. Issuers that are given by name are looked for among `issuers`, and a revocation
 * list is verified by them. Throws `ArgumentInvalid`.
 */
export function readList(
  given: GivenList,
  { issuers, at }: { readonly issuers: readonly Certificate[]; readonly at: Instant },
): ListedCertificates {
  const selectors: Selector[] = [];
  const notes: string[] = [];
  const certificates: Certificate[] = [];
  const { ders, crls, lines } = split(given);
  for (const der of ders) {
    const certificate = orArgumentInvalid(() => parseCertificate(der));
    certificates.push(certificate);
    selectors.push(selectCertificate('leaf', certificate), selectCertificate('issuerSerial', certificate));
  }
  for (const der of crls) {
    const list = orArgumentInvalid(() => parseRevocationList(der));
    selectors.push(
      ...list.revoked
        .filter(({ reasonCode }) => reasonCode !== removed)
        .map(({ serialNumber }) => bySerial(serialNumber, list.issuerName.text, list.issuerName.key)),
    );
    notes.push(...notesAbout(list, issuers, at));
  }
  for (const line of lines) selectors.push(readLine(line, issuers));
  if (selectors.length === 0) throw new ServiceError('ArgumentInvalid', 'The list names no certificate.');
  if (selectors.length > limits.listedCertificates)
    throw new ServiceError('ArgumentInvalid', `A list names at most ${limits.listedCertificates} certificates.`);
  const block: Block = { id: 'the list', selectors, reason: 'listed', createdBy: 'what-if', createdAt: at };
  return { block, notes, certificates };
}

interface Parts {
  readonly ders: readonly Uint8Array[];
  readonly crls: readonly Uint8Array[];
  readonly lines: readonly string[];
}

function split({ text, der }: GivenList): Parts {
  if (der !== undefined) return isCertificate(der) ? { ders: [der], crls: [], lines: [] } : { ders: [], crls: [der], lines: [] };
  if (text === undefined || !text.includes('-----BEGIN')) return { ders: [], crls: [], lines: linesOf(text ?? '') };
  const blocks = orArgumentInvalid(() => findPemBlocks(text));
  const of = (label: string) => blocks.filter((block) => block.label === label).map(({ base64 }) => Buffer.from(base64, 'base64'));
  return { ders: of('CERTIFICATE'), crls: of('X509 CRL'), lines: [] };
}

function isCertificate(der: Uint8Array): boolean {
  try {
    parseCertificate(der);
    return true;
  } catch (error) {
    if (error instanceof CertificateFormatError) return false;
    throw error;
  }
}

function linesOf(text: string): readonly string[] {
  return text
    .split(/\r?\n/u)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** A thumbprint, or a serial number and the name of its issuer. */
function readLine(line: string, issuers: readonly Certificate[]): Selector {
  const thumbprint = selectThumbprint(line);
  if (thumbprint !== undefined) return thumbprint;
  const [, serial = '', name = ''] = /^([0-9A-Fa-f:]{1,80})[\s,;]+(\S.*)$/u.exec(line) ?? [];
  if (serial === '')
    throw new ServiceError(
      'ArgumentInvalid',
      `The line '${line.slice(0, 80)}' is neither the SHA-256 of a certificate nor 'SERIAL ISSUER', such as '0A1B CN=Intermediate'.`,
    );
  const wanted = fold(name);
  const issuer = issuers.find(({ subject, commonName }) => [subject, commonName ?? ''].some((text) => fold(text) === wanted));
  if (issuer === undefined)
    throw new ServiceError(
      'ArgumentInvalid',
      `No CA certificate is known here that is called '${name.slice(0, 80)}'. Give its revocation list, or the certificates themselves.`,
    );
  return bySerial(normalised(serial), issuer.subject, issuer.subjectKey);
}

const fold = (text: string): string => text.toLowerCase().replaceAll(/[\s"]+/gu, '');

/** Whole bytes in upper case, without leading zeros, as certificates have them. */
function normalised(serial: string): string {
  const digits = serial
    .replaceAll(':', '')
    .toUpperCase()
    .replace(/^0+(?=.)/u, '');
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

function bySerial(serialNumber: string, issuer: string, issuerKey: string): Selector {
  return selectCertificate('issuerSerial', { ...nothingElse, serialNumber, issuer, issuerKey });
}

const nothingElse = { sha256: '', tbsSha256: '', publicKeySha256: '', subject: '', subjectKey: '' };

function notesAbout(list: RevocationList, issuers: readonly Certificate[], at: Instant): readonly string[] {
  const { issuerName, nextUpdate, signature } = list;
  const own = issuers.filter(({ subjectKey }) => subjectKey === issuerName.key);
  const isSigned = own.some((issuer) => verifySignedBy(signature, issuer) === 'valid');
  return [
    ...(isSigned
      ? []
      : [`The revocation list of ${issuerName.text} is not signed by any CA certificate that is known here. It is taken as it is.`]),
    ...(nextUpdate !== undefined && nextUpdate < at ? [`The revocation list of ${issuerName.text} is out of date.`] : []),
  ];
}

function orArgumentInvalid<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CertificateFormatError)) throw error;
    throw new ServiceError('ArgumentInvalid', `The list cannot be read. ${error.message}`);
  }
}
