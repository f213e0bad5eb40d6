import { isAbsolute, join, resolve } from 'node:path';

import type { Json } from '../kernel/json.ts';
import type { CliEnvironment } from './environment.ts';
import type { OutputFormat } from './output/render.ts';

/** What every command is run with. */
export interface CommandContext {
  readonly environment: CliEnvironment;
  /** Absolute path of the service's data folder; need not exist. */
  readonly dataFolder: string;
  readonly output: OutputFormat;
  /** Whether `--output` or `--query` was given: a program reads the result. */
  readonly isForProgram: boolean;
  /** Whether `--query` was given: then the result is handed over whole, whatever the output format. */
  readonly isQueried: boolean;
  /** Prints a result as `--output` and `--query` ask; for commands that print a page of their own otherwise. */
  readonly show: (value: Json) => void;
  /** A line for people, on standard error; silent with `--only-show-errors`. */
  readonly notice: (line: string) => void;
  /** A line of output. */
  readonly print: (line: string) => void;
  /** A line for `--verbose` and `--debug`. */
  readonly detail: (line: string) => void;
}

/** `--data`, else `MUSTER_DATA`, else `.muster` in the home folder. */
export function dataFolderOf(given: string | undefined, { env, homeFolder }: Pick<CliEnvironment, 'env' | 'homeFolder'>): string {
  const chosen = given ?? env['MUSTER_DATA'];
  if (chosen === undefined || chosen === '') return join(homeFolder, '.muster');
  return isAbsolute(chosen) ? chosen : resolve(chosen);
}
