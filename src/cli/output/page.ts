import type { CliEnvironment } from '../environment.ts';
import { coloursFor } from './colours.ts';
import { columns, wrap } from './layout.ts';

/** A page of text for people: headings, facts and marked lines, 80 columns wide. */
export interface Page {
  title(text: string, aside?: string): void;
  heading(text: string): void;
  fact(name: string, value: string): void;
  /** A line with a mark in front, wrapped under itself. */
  item(mark: Mark, text: string): void;
  line(text: string): void;
  gap(): void;
  readonly colours: ReturnType<typeof coloursFor>;
}

export type Mark = 'good' | 'bad' | 'plain' | 'unknown' | number;

const nameWidth = 13;
const rule = '─'.repeat(columns - 2);

export function createPage(print: (line: string) => void, environment: Pick<CliEnvironment, 'stdout' | 'env'>): Page {
  const colours = coloursFor(environment);
  const marks = { good: colours.green('✓'), bad: colours.red('✗'), plain: colours.dim('·'), unknown: colours.yellow('?') } as const;
  return {
    colours,
    title(text, aside = '') {
      const fits = text.length + aside.length + 3 <= columns;
      for (const [at, part] of wrap(text, columns - 2).entries()) {
        const side = at === 0 && fits ? aside.padStart(columns - 2 - part.length) : '';
        print(` ${colours.bold(part)}${colours.dim(side)}`.trimEnd());
      }
      if (!fits) print(` ${colours.dim(aside)}`);
      print(` ${colours.dim(rule)}`);
    },
    heading(text) {
      print('');
      print(` ${colours.bold(text)}`);
    },
    fact(name, value) {
      for (const [at, part] of wrap(value, columns - nameWidth - 4).entries()) {
        print(`   ${colours.dim((at === 0 ? name : '').padEnd(nameWidth))} ${part}`);
      }
    },
    item(mark, text) {
      const shown = typeof mark === 'number' ? colours.dim(String(mark)) : marks[mark];
      for (const [at, part] of wrap(text, columns - 5).entries()) print(at === 0 ? `   ${shown} ${part}` : `     ${part}`);
    },
    line: (text) => print(text),
    gap: () => print(''),
  };
}
