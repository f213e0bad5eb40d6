import { CertificateFormatError } from './certificate-format-error.ts';

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands after BEGIN, as `CERTIFICATE` or `PRIVATE KEY`. */
  readonly label: string;
  /** The base64 text between the lines, white space removed; not checked. */
  readonly base64: string;
  /** Whether headers (`Proc-Type: …`) precede the base64, as in encrypted keys of the traditional format. */
  readonly hasHeaders: boolean;
}

/** Writes DER as PEM (RFC 7468): lines of 64 characters, a line feed at the end. */
export function toPem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/gu) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/**
 * Finds the PEM blocks in a text. Anything outside of them is explanatory text (RFC 7468 section 2), such as what
 * `openssl x509 -text` prints above. Throws `CertificateFormatError` for a BEGIN line without its END.
 */
export function findPemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  const begin = /-----BEGIN ([A-Z0-9 ]{1,40})-----/gu;
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    const label = match[1] ?? '';
    const end = text.indexOf(`-----END ${label}-----`, begin.lastIndex);
    if (end < 0) throw new CertificateFormatError(`This PEM text is cut off: "BEGIN ${label}" has no END line that fits.`);
    const body = text.slice(begin.lastIndex, end);
    const hasHeaders = body.includes(':');
    blocks.push({ label, base64: body.replace(/\s+/gu, ''), hasHeaders });
    begin.lastIndex = end;
  }
  return blocks;
}
