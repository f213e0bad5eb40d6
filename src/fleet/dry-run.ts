/** Thrown at the end of a transaction to have it rolled back, with what it would have come to. */
export class DryRun extends Error {
  override readonly name = 'DryRun';
  readonly result: unknown;

  constructor(result: unknown) {
    super('a dry run writes nothing');
    this.result = result;
  }
}

/** What the work came to, whether it was committed or was a dry run of the same. */
export async function dryly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The same work threw it, with its own result.
    if (error instanceof DryRun) return error.result as T;
    throw error;
  }
}
