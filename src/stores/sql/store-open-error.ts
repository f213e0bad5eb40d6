/** A store that cannot be opened for a reason an operator can mend; the message is the whole story, in one or two sentences. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
}
