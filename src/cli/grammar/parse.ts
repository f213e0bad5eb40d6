import { Command as CommanderCommand, CommanderError, Option as CommanderOption } from 'commander';

import { usageError } from '../exit-code.ts';
import type { Command } from './command.ts';
import { type globalOptions, globalOptionsOf } from './global-options.ts';
import { renderHelp } from './help.ts';
import type { Option, OptionSet, ValuesOf } from './option.ts';
import { canonicalise } from './spelling.ts';
import { findNode, type GrammarNode } from './tree.ts';

export type GlobalValues = ValuesOf<typeof globalOptions>;

/** What a command line asks for. */
export type Request =
  | { readonly kind: 'run'; readonly command: Command; readonly values: Readonly<Record<string, unknown>>; readonly globals: GlobalValues }
  | { readonly kind: 'help'; readonly text: string; readonly asked: boolean };

/** Reads a command line. Throws `CliFailure` with exit code 2 and a sentence for whatever does not fit the grammar. */
export function parseArguments(root: GrammarNode, argv: readonly string[]): Request {
  const { node, rest } = findNode(root, argv);
  const [first] = argv;
  if (argv.length > 1 && first !== undefined && /^--[a-z]/u.test(first) && first !== '--help') {
    throw usageError(`Options go behind the command: '${first}' stands in front of it. 'muster -h' lists the commands.`);
  }
  const words = node.command === undefined ? argv : [...node.path, ...canonicalise(rest, optionsOf(node.command))];
  let request: Request | undefined;
  const program = toCommander(root, (found) => (request = found));
  try {
    program.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return afterCommander(error, node);
  }
  return request ?? { kind: 'help', text: renderHelp(node), asked: false };
}

function afterCommander(error: CommanderError, node: GrammarNode): Request {
  if (error.code === 'commander.helpDisplayed') return { kind: 'help', text: renderHelp(node), asked: true };
  if (error.code === 'commander.help') return { kind: 'help', text: renderHelp(node), asked: false };
  const sentence = error.message.replace(/^error: /u, '').replaceAll('\n', ' ');
  const where = ['muster', ...node.path].join(' ');
  throw usageError(`${sentence.replace(/\.$/u, '')}. '${where} -h' shows what can be said here.`);
}

function toCommander(node: GrammarNode, found: (request: Request) => void): CommanderCommand {
  const result = new CommanderCommand(node.path.at(-1) ?? 'muster');
  result.exitOverride().helpCommand(false).allowExcessArguments(false).helpOption('-h, --help');
  // Help and errors are rendered by us; commander only finds out which.
  result.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  for (const child of node.children.values()) result.addCommand(toCommander(child, found));
  const { command } = node;
  if (command !== undefined) {
    const globals = globalOptionsOf(command.options);
    const keys = addOptions(result, [...Object.values<Option<unknown>>(command.options), ...Object.values<Option<unknown>>(globals)]);
    result.action(() => found(readRequest({ command, globals }, wordsByOption(keys, result.opts()))));
  }
  return result;
}

function optionsOf({ options }: Command): readonly Option<unknown>[] {
  return [...Object.values<Option<unknown>>(options), ...Object.values<Option<unknown>>(globalOptionsOf(options))];
}

const argumentForms = { maybe: ' [value]', one: ' <value>', many: ' <value...>' } as const;

function addOptions(target: CommanderCommand, options: readonly Option<unknown>[]): ReadonlyMap<Option<unknown>, string> {
  const keys = new Map<Option<unknown>, string>();
  for (const option of options) {
    const short = option.flags.find((spelling) => !spelling.startsWith('--'));
    const added = new CommanderOption(`${short === undefined ? '' : `${short}, `}${option.flags[0]}${argumentForms[option.arity]}`);
    target.addOption(added);
    keys.set(option, added.attributeName());
  }
  return keys;
}

type Words = ReadonlyMap<Option<unknown>, readonly string[]>;

function wordsByOption(keys: ReadonlyMap<Option<unknown>, string>, given: Readonly<Record<string, unknown>>): Words {
  const words = new Map<Option<unknown>, readonly string[]>();
  for (const [option, key] of keys) {
    const value = given[key];
    if (value === true) words.set(option, []);
    else if (typeof value === 'string') words.set(option, [value]);
    else if (Array.isArray(value)) words.set(option, value.map(String));
  }
  return words;
}

function readRequest({ command, globals }: { readonly command: Command; readonly globals: typeof globalOptions }, words: Words): Request {
  const missing = Object.values<Option<unknown>>(command.options).filter((option) => option.required && !words.has(option));
  if (missing.length > 0) {
    const names = missing.map((option) => option.flags.join('/')).join(', ');
    throw usageError(`the following arguments are required: ${names}. 'muster ${command.path.join(' ')} -h' shows examples.`);
  }
  return { kind: 'run', command, values: readAll(command.options, words), globals: readAll(globals, words) as GlobalValues };
}

function readAll(options: OptionSet, words: Words): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(options).map(([name, option]) => [name, option.read(words.get(option))]));
}
