import type { StartOptions } from './start-options.ts';

/** Where lines go; `process.stdout` and `process.stderr` are such. */
export interface TextOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Everything that the command line takes from the process it runs in. */
export interface CliEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly homeFolder: string;
  /** Starts the service in this process; resolves with the exit code after a signal has ended it. */
  readonly startService: (options: StartOptions) => Promise<number>;
  /** Runs the tour; resolves with its exit code. */
  readonly runTour?: () => Promise<number>;
}
