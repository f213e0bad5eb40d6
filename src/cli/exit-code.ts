/** What `muster` ends with; the numbers are those of `az`. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, notFound: 3 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** An end with a sentence for the person at the keyboard. Anything else that is thrown is a bug. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const failure = (message: string): CliFailure => new CliFailure(exitCodes.failure, message);
export const usageError = (message: string): CliFailure => new CliFailure(exitCodes.usage, message);
export const notFound = (message: string): CliFailure => new CliFailure(exitCodes.notFound, message);
