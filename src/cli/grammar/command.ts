import type { Json } from '../../kernel/json.ts';
import type { CommandContext } from '../context.ts';
import type { OptionSet, ValuesOf } from './option.ts';

export interface Example {
  readonly text: string;
  /** As typed, without the leading `muster`. */
  readonly command: string;
}

/** What a command leaves behind: a value to print, or an exit code when it printed for itself. */
export type CommandResult = { readonly value: Json | undefined } | { readonly exitCode: number };

/** A command as data: how it is spelt, what it takes, what it does. Printing is none of its business. */
export interface Command {
  readonly path: readonly string[];
  readonly summary: string;
  readonly details?: string;
  readonly examples: readonly Example[];
  readonly options: OptionSet;
  run(values: Readonly<Record<string, unknown>>, context: CommandContext): Promise<CommandResult>;
}

interface Definition<S extends OptionSet> {
  /** As typed: `iot dps enrollment create`. */
  readonly name: string;
  readonly summary: string;
  readonly details?: string;
  readonly examples?: readonly Example[];
  readonly options: S;
}

/** A command that returns a value to print; `undefined` prints nothing. */
export function defineCommand<const S extends OptionSet>(
  definition: Definition<S> & { run(values: ValuesOf<S>, context: CommandContext): Promise<Json | undefined> },
): Command {
  const run = async (values: ValuesOf<S>, context: CommandContext): Promise<CommandResult> => ({
    value: await definition.run(values, context),
  });
  return toCommand(definition, run);
}

/** A command that prints while it runs and chooses its exit code, or returns a value to print after all. */
export function defineLiveCommand<const S extends OptionSet>(
  definition: Definition<S> & { run(values: ValuesOf<S>, context: CommandContext): Promise<number | { readonly value: Json }> },
): Command {
  const run = async (values: ValuesOf<S>, context: CommandContext): Promise<CommandResult> => {
    const result = await definition.run(values, context);
    return typeof result === 'number' ? { exitCode: result } : result;
  };
  return toCommand(definition, run);
}

function toCommand<S extends OptionSet>(
  { name, examples = [], ...rest }: Definition<S>,
  run: (values: ValuesOf<S>, context: CommandContext) => Promise<CommandResult>,
): Command {
  // The values were read by the very options of `S`, so they are what `S` says.
  return { ...rest, examples, path: name.split(' '), run: (values, context) => run(values as ValuesOf<S>, context) };
}
