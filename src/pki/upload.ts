import { type Certificate, maxCertificateBytes, parseCertificate } from './certificate.ts';
import { CertificateFormatError } from './certificate-format-error.ts';
import { findPemBlocks, type PemBlock } from './pem.ts';
import { recogniseDer, recogniseLabel } from './recognise.ts';

/** Longest text that an upload may have: far above any chain, far below what would hurt. */
export const maxUploadCharacters = 1_048_576;
/** Most certificates that one upload may hold. */
export const maxUploadCertificates = 32;

/**
 * Reads what clients put where a certificate belongs: PEM with one or several certificates, base64 of DER, or
 * base64 of PEM, with or without line breaks. Order is kept.
 *
 * Throws `CertificateFormatError` with a sentence that says what was found instead.
 */
export function parseCertificateUpload(text: string): readonly Certificate[] {
  if (text.length > maxUploadCharacters)
    throw new CertificateFormatError(`This is longer than ${maxUploadCharacters} characters, so it is not a certificate.`);
  // JSON pasted by hand often carries its line breaks as backslash and n.
  const trimmed = text.replaceAll('\\r', '').replaceAll('\\n', '\n').trim();
  if (trimmed === '') throw new CertificateFormatError('No certificate was given: the text is empty.');
  if (trimmed.includes('-----BEGIN')) return readPem(trimmed);
  const bytes = decodeBase64(trimmed);
  if (bytes === undefined) {
    throw new CertificateFormatError('This is not a certificate: it is neither PEM (-----BEGIN CERTIFICATE-----) nor base64.');
  }
  const inner = bytes.toString('latin1');
  return inner.includes('-----BEGIN') ? readPem(inner) : [readDer(bytes)];
}

function readPem(text: string): readonly Certificate[] {
  const blocks = findPemBlocks(text);
  if (blocks.length === 0) throw new CertificateFormatError('This PEM text is damaged: its BEGIN line cannot be read.');
  const foreign = blocks.find((block) => !isCertificate(block));
  if (foreign !== undefined) throw unexpected(foreign, blocks.some(isCertificate));
  if (blocks.length > maxUploadCertificates)
    throw new CertificateFormatError(`This holds more than ${maxUploadCertificates} certificates.`);
  return blocks.map(readBlock);
}

function isCertificate(block: PemBlock): boolean {
  return block.label === 'CERTIFICATE' || block.label === 'X509 CERTIFICATE';
}

function unexpected(block: PemBlock, besideCertificates: boolean): CertificateFormatError {
  const found = recogniseLabel(block.label) ?? `a PEM block "${block.label}"`;
  if (!besideCertificates) return new CertificateFormatError(`This is ${found}, not a certificate.`);
  const advice = block.label.endsWith('PRIVATE KEY')
    ? ' The key never has to leave your hands: remove it and send the certificate alone.'
    : ' Send the certificate alone.';
  return new CertificateFormatError(`This holds ${found} beside the certificate.${advice}`);
}

function readBlock(block: PemBlock): Certificate {
  const bytes = decodeBase64(block.base64);
  if (bytes === undefined)
    throw new CertificateFormatError('This PEM certificate is damaged: between its lines is something other than base64.');
  return readDer(bytes);
}

function readDer(bytes: Buffer): Certificate {
  if (bytes.length > maxCertificateBytes) throw new CertificateFormatError(`This certificate is larger than ${maxCertificateBytes} bytes.`);
  try {
    return parseCertificate(bytes);
  } catch (error) {
    if (!(error instanceof CertificateFormatError)) throw error;
    const found = recogniseDer(bytes);
    throw found === undefined ? error : new CertificateFormatError(`This is ${found}, not a certificate.`);
  }
}

/** Strict base64, white space allowed; `undefined` for anything that Buffer would silently skip. */
function decodeBase64(text: string): Buffer | undefined {
  const digits = text.replace(/\s+/gu, '').replace(/={1,2}$/u, '');
  if (digits === '' || digits.length % 4 === 1 || /[^A-Za-z0-9+/]/u.test(digits)) return undefined;
  return Buffer.from(digits, 'base64');
}
