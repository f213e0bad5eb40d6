/** Bytes are no structure of the kind that was asked for. The message completes "The key cannot be used: …". */
export class TpmFormatError extends Error {
  override readonly name = 'TpmFormatError';
}
