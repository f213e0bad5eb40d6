/** Bytes are no structure of the kind that was asked for. The message completes "The key cannot be read, …". */
export class TpmFormatError extends Error {
  override readonly name = 'TpmFormatError';
}
