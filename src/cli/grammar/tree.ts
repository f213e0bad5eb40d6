import type { Command } from './command.ts';

/** A word of the grammar: a command, or a group of further words. */
export interface GrammarNode {
  readonly path: readonly string[];
  readonly summary: string;
  readonly command?: Command;
  readonly children: ReadonlyMap<string, GrammarNode>;
}

interface GrowingNode extends GrammarNode {
  readonly children: Map<string, GrowingNode>;
}

/** Arranges commands by their words. Every group must have a summary: a new one without is a bug that shows at once. */
export function buildTree(commands: readonly Command[], summaries: Readonly<Record<string, string>>): GrammarNode {
  const root: GrowingNode = { path: [], summary: summaryOf([], summaries), children: new Map() };
  for (const command of commands) plant(root, command, summaries);
  return root;
}

function plant(root: GrowingNode, command: Command, summaries: Readonly<Record<string, string>>): void {
  let node = root;
  command.path.slice(0, -1).forEach((word, at) => {
    const path = command.path.slice(0, at + 1);
    const next = node.children.get(word) ?? { path, summary: summaryOf(path, summaries), children: new Map() };
    node.children.set(word, next);
    node = next;
  });
  node.children.set(command.path.at(-1) ?? '', { path: command.path, summary: command.summary, command, children: new Map() });
}

function summaryOf(path: readonly string[], summaries: Readonly<Record<string, string>>): string {
  const summary = summaries[path.join(' ')];
  if (summary === undefined) throw new Error(`the group '${path.join(' ')}' has no summary`);
  return summary;
}

/** Follows the leading words as far as they are known. */
export function findNode(root: GrammarNode, argv: readonly string[]): { readonly node: GrammarNode; readonly rest: readonly string[] } {
  let node = root;
  let used = 0;
  for (const word of argv) {
    const next = node.children.get(word);
    if (next === undefined) break;
    node = next;
    used += 1;
  }
  return { node, rest: argv.slice(used) };
}
