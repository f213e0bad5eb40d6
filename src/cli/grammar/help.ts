import type { Command } from './command.ts';
import { globalOptionsOf } from './global-options.ts';
import type { Option } from './option.ts';
import type { GrammarNode } from './tree.ts';

const columns = 100;
const helpLine: readonly [string, string] = ['--help -h', 'Show this help message and exit.'];

/** The help text of a command or group, arranged as az does. */
export function renderHelp(node: GrammarNode): string {
  return node.command === undefined ? renderGroup(node) : renderCommand(node.command);
}

function renderGroup(node: GrammarNode): string {
  const children = [...node.children.values()].sort((a, b) => (lastWord(a) < lastWord(b) ? -1 : 1));
  const groups = children.filter((child) => child.command === undefined);
  const commands = children.filter((child) => child.command !== undefined);
  const name = ['muster', ...node.path].join(' ');
  const parts = [`Group\n${wrap(`${name} : ${node.summary}`, 4, 8)}`];
  if (groups.length > 0) parts.push(`Subgroups:\n${twoColumns(groups.map((child) => [lastWord(child), child.summary]))}`);
  if (commands.length > 0) parts.push(`Commands:\n${twoColumns(commands.map((child) => [lastWord(child), child.summary]))}`);
  parts.push(`'${name} <word> -h' says more about one of them.`);
  return `\n${parts.join('\n\n')}\n`;
}

function renderCommand(command: Command): string {
  const title = wrap(`muster ${command.path.join(' ')} : ${command.summary}`, 4, 8);
  const details = command.details === undefined ? '' : `\n${wrap(command.details, 8, 8)}`;
  const parts = [`Command\n${title}${details}`];
  for (const [heading, options] of byGroup(Object.values<Option<unknown>>(command.options))) {
    parts.push(`${heading}\n${twoColumns(options.map((option) => [labelOf(option), explain(option)]))}`);
  }
  const globals = Object.values<Option<unknown>>(globalOptionsOf(command.options)).filter(({ hidden }) => hidden !== true);
  const globalLines = [...globals.map((option): readonly [string, string] => [labelOf(option), explain(option)]), helpLine];
  parts.push(`Global Arguments\n${twoColumns(globalLines.sort(([a], [b]) => (a < b ? -1 : 1)))}`);
  if (command.examples.length > 0) {
    const examples = command.examples.map(({ text, command: line }) => `${wrap(text, 4, 4)}\n${wrap(`muster ${line}`, 8, 12)}`);
    parts.push(`Examples\n${examples.join('\n\n')}`);
  }
  return `\n${parts.join('\n\n')}\n`;
}

function byGroup(options: readonly Option<unknown>[]): readonly (readonly [string, readonly Option<unknown>[]])[] {
  const groups = new Map<string, Option<unknown>[]>([['Arguments', []]]);
  for (const option of options.filter(({ hidden }) => hidden !== true)) {
    const heading = option.group === undefined ? 'Arguments' : `${option.group} Arguments`;
    groups.set(heading, [...(groups.get(heading) ?? []), option]);
  }
  const byUse = (a: Option<unknown>, b: Option<unknown>): number =>
    Number(b.required) - Number(a.required) || (a.flags[0] < b.flags[0] ? -1 : 1);
  return [...groups].filter(([, members]) => members.length > 0).map(([heading, members]) => [heading, members.sort(byUse)]);
}

function labelOf(option: Option<unknown>): string {
  return option.flags.join(' ') + (option.required ? ' [Required]' : '');
}

function explain(option: Option<unknown>): string {
  const allowed = option.choices === undefined ? '' : `  Allowed values: ${option.choices.join(', ')}.`;
  const otherwise = option.defaultText === undefined ? '' : `  Default: ${option.defaultText}.`;
  const position = option.positional === true ? '  May stand right after the command, without the flag.' : '';
  return option.help + allowed + otherwise + position;
}

function twoColumns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(Math.max(...rows.map(([label]) => label.length)), 44);
  return rows.map(([label, words]) => wrap(`${label.padEnd(width)} : ${words}`, 4, width + 7)).join('\n');
}

function wrap(line: string, indent: number, hanging: number): string {
  const lines: string[] = [];
  let current = ' '.repeat(indent);
  for (const [at, word] of line.split(/(?<=\S) (?=\S)/u).entries()) {
    const next = at === 0 ? current + word : `${current} ${word}`;
    const overflows = next.length > columns && current.trim() !== '';
    if (overflows) lines.push(current);
    current = overflows ? ' '.repeat(hanging) + word.trimStart() : next;
  }
  return [...lines, current].join('\n');
}

function lastWord(node: GrammarNode): string {
  return node.path.at(-1) ?? '';
}
