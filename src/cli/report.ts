import { ServiceError } from '../kernel/service-error.ts';
import type { TextOutput } from './environment.ts';
import { CliFailure, exitCodes } from './exit-code.ts';

/** Says on standard error what ended a command, and returns its exit code. A bug shows its stack when asked to. */
export function reportFailure(thrown: unknown, stderr: TextOutput, debug: boolean): number {
  if (thrown instanceof CliFailure) {
    stderr.write(`ERROR: ${thrown.message}\n`);
    return thrown.exitCode;
  }
  if (thrown instanceof ServiceError) {
    stderr.write(`ERROR: ${thrown.message}\n`);
    return thrown.row.http === 404 ? exitCodes.notFound : exitCodes.failure;
  }
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  stderr.write(`ERROR: muster failed unexpectedly: ${words}. Run it again with --debug and report what it shows.\n`);
  if (debug && thrown instanceof Error && thrown.stack !== undefined) stderr.write(`${thrown.stack}\n`);
  return exitCodes.failure;
}
