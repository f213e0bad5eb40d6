import type { CliEnvironment } from '../environment.ts';
import { coloursFor } from '../output/colours.ts';
import { layOutCommand } from './command-line.ts';
import { clip, columns, sideBySide, wrap } from '../output/layout.ts';
import type { Verdict } from './ledger.ts';

/** What the tour shows, line after line: nothing moves, so that a log file reads like a terminal. */
export interface Screen {
  heading(text: string): void;
  /** The start of a numbered chapter. */
  chapter(title: string): void;
  /** Prose, wrapped. */
  say(text: string): void;
  /** A command, word by word as a person types it. */
  command(typed: readonly string[]): void;
  /** What a command printed; lines stay lines. */
  output(text: string): void;
  /** Something measured or returned, after its name. */
  fact(name: string, value: string): void;
  trouble(text: string): void;
  table(verdicts: readonly Verdict[]): void;
  /** The last line. */
  close(text: string, good: boolean): void;
}

const margin = '   ';
const room = columns - margin.length;
const factWidth = 15;
const promiseWidth = 34;
// Margin, mark and gaps take the rest.
const evidenceWidth = columns - promiseWidth - 5;
const rule = '─'.repeat(columns - 2);

export function createScreen({ stdout, env }: Pick<CliEnvironment, 'stdout' | 'env'>): Screen {
  const colours = coloursFor({ stdout, env });
  const line = (text = ''): unknown => stdout.write(`${text}\n`);
  let chapters = 0;
  return {
    heading: (text) => {
      line(` ${colours.bold(text)}`);
      line(` ${colours.dim(rule)}`);
    },
    chapter: (title) => {
      chapters += 1;
      line();
      line(`${String(chapters).padStart(2)} ${colours.bold(title)}`);
    },
    say: (text) => wrap(text, room).forEach((part) => line(margin + part)),
    command: (typed) => layOutCommand(typed, room).forEach((part) => line(margin + colours.cyan(part))),
    output: (text) =>
      text
        .trimEnd()
        .split('\n')
        .forEach((part) => line(`${margin}${colours.dim('│')} ${clip(part.trimEnd(), room - 2)}`)),
    fact: (name, value) =>
      wrap(value, room - factWidth - 1).forEach((part, at) =>
        line(`${margin}${colours.dim((at === 0 ? name : '').padEnd(factWidth))} ${part}`),
      ),
    trouble: (text) => wrap(text, room).forEach((part) => line(margin + colours.red(part))),
    table: (verdicts) => {
      line();
      line(` ${colours.bold('What held')}`);
      line(` ${colours.dim(rule)}`);
      for (const { promise, held, evidence } of verdicts) {
        const lines = sideBySide([
          { text: promise, width: promiseWidth },
          { text: evidence, width: evidenceWidth },
        ]);
        const mark = held ? colours.green('✓') : colours.red('✗');
        lines.forEach((part, at) => line(` ${at === 0 ? mark : ' '} ${part}`));
      }
      line(` ${colours.dim(rule)}`);
    },
    close: (text, good) => line(` ${good ? colours.green(text) : colours.red(text)}`),
  };
}
