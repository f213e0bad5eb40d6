import type { Certificate } from './certificate.ts';

const maxLength = 120;

/** A text from a certificate, for a sentence: quoted, one line, of bounded length. Its author may be hostile. */
export function printable(text: string): string {
  const short = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return `'${short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}']/gu, '?')}'`;
}

/** Names a certificate in a sentence: its subject, and enough of its SHA-256 to tell it from its namesakes. */
export function nameOf(certificate: Certificate): string {
  const subject = certificate.subject === '' ? 'with an empty subject' : printable(certificate.subject);
  return `certificate ${subject} (SHA-256 ${certificate.sha256.slice(0, 16)}…)`;
}
