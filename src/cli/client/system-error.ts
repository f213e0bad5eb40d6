/** The code of an operating system or TLS error (`ECONNREFUSED`), if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : (codeOf(error) ?? String(error));
}

const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

/** A sentence that says what failed on the way to `where` and what to do about it. */
export function explainConnection(error: unknown, where: string): string {
  const code = codeOf(error) ?? '';
  if (code === 'ECONNREFUSED') return `Nothing answers at ${where}. Start the service with 'muster start', or check --data and --login.`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `The name in ${where} cannot be resolved. Check the host name.`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return `${where} closed the connection. Look into the log of the service.`;
  if (code === 'ETIMEDOUT') return `${where} did not answer in time. Check that the service is healthy.`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `The server certificate of ${where} is for other names. Use a host name that it has.`;
  if (code === 'CERT_HAS_EXPIRED') return `The server certificate of ${where} has expired.`;
  if (untrusted.has(code)) {
    return `The server certificate of ${where} is not trusted. Name its data folder with --data, or its CA in NODE_EXTRA_CA_CERTS.`;
  }
  return `The connection to ${where} failed: ${messageOf(error).replace(/\.$/u, '')}.`;
}
