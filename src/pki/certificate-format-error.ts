/**
 * Bytes or text that are not the certificate they should be. The message is a whole sentence that may be shown
 * to the person who sent them; it never quotes the input, which can be a private key.
 */
export class CertificateFormatError extends Error {
  override readonly name = 'CertificateFormatError';
}
