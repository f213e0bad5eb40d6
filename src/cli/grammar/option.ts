import { usageError } from '../exit-code.ts';

/** How many words an option takes after its flag; `maybe` is none or one. */
export type Arity = 'maybe' | 'one' | 'many';

/** One option of a command; `V` is what the command receives for it. */
export interface Option<V> {
  /** All spellings; the first is the canonical long one. */
  readonly flags: readonly [string, ...string[]];
  readonly help: string;
  readonly arity: Arity;
  readonly required: boolean;
  /** Heading in the help text. */
  readonly group?: string;
  readonly choices?: readonly string[];
  readonly defaultText?: string;
  /** Left out of the help text. */
  readonly hidden?: boolean;
  /** Its words may stand right after the command, without the flag. */
  readonly positional?: boolean;
  /** Turns the words that were given into the value; `undefined` when the flag was not used. */
  read(words: readonly string[] | undefined): V;
}

export type OptionSet = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<S extends OptionSet> = { readonly [K in keyof S]: Exclude<S[K], undefined> extends Option<infer V> ? V : never };

type Flags = readonly [string, ...string[]];
type Spelling = Pick<Option<unknown>, 'group' | 'defaultText' | 'hidden' | 'positional'>;

/** An option with one word. */
export function text(flags: Flags, help: string, spelling: Spelling = {}): Option<string | undefined> {
  return { flags, help, arity: 'one', required: false, ...spelling, read: last };
}

/** Stands between the words of two uses of the same option; no real argument can hold it. */
export const nextUse = '\0';

/** An option with one or several words; several uses add up. */
export function list(flags: Flags, help: string, spelling: Spelling = {}): Option<readonly string[] | undefined> {
  return { flags, help, arity: 'many', required: false, ...spelling, read: (words) => words?.filter((word) => word !== nextUse) };
}

/** An option with one or several words, each use of which counts for itself. */
export function uses(flags: Flags, help: string, spelling: Spelling = {}): Option<readonly (readonly string[])[]> {
  const read = (words: readonly string[] = []): readonly (readonly string[])[] => {
    const result: string[][] = words.length === 0 ? [] : [[]];
    for (const word of words) {
      if (word === nextUse) result.push([]);
      else result.at(-1)?.push(word);
    }
    return result;
  };
  return { flags, help, arity: 'many', required: false, ...spelling, read };
}

/** An option with a whole number. */
export function integer(flags: Flags, help: string, spelling: Spelling = {}): Option<number | undefined> {
  const read = (words: readonly string[] | undefined): number | undefined => {
    const word = last(words);
    if (word === undefined) return undefined;
    if (!/^-?\d{1,15}$/u.test(word)) throw usageError(`argument ${flags.join('/')}: '${word}' is not a whole number.`);
    return Number(word);
  };
  return { flags, help, arity: 'one', required: false, ...spelling, read };
}

/** Seconds, fractions allowed. */
export function secondsOption(flags: Flags, help: string, spelling: Spelling = {}): Option<number | undefined> {
  const read = (words: readonly string[] | undefined): number | undefined => {
    const word = last(words);
    if (word === undefined) return undefined;
    if (!/^\d{1,9}(\.\d{1,6})?$/u.test(word)) throw usageError(`argument ${flags.join('/')}: '${word}' is not a number of seconds.`);
    return Number(word);
  };
  return { flags, help, arity: 'one', required: false, ...spelling, read };
}

const truth: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  y: true,
  '1': true,
  false: false,
  f: false,
  no: false,
  n: false,
  '0': false,
};

/** az's three-state flag: absent, alone (true), or followed by true or false. */
export function flag(flags: Flags, help: string, spelling: Spelling = {}): Option<boolean | undefined> {
  const read = (words: readonly string[] | undefined): boolean | undefined => {
    if (words === undefined) return undefined;
    const word = last(words);
    if (word === undefined) return true;
    const value = truth[word.toLowerCase()];
    if (value === undefined) throw usageError(`argument ${flags.join('/')}: '${word}' is neither true nor false.`);
    return value;
  };
  return { flags, help, arity: 'maybe', required: false, ...spelling, read, choices: ['false', 'true'] };
}

/** One word out of a fixed set, compared without case, as az does. */
export function choice<C extends string>(
  flags: Flags,
  choices: readonly C[],
  help: string,
  spelling: Spelling = {},
): Option<C | undefined> {
  const read = (words: readonly string[] | undefined): C | undefined => {
    const word = last(words);
    return word === undefined ? undefined : pick(flags, choices, word);
  };
  return { flags, help, arity: 'one', required: false, ...spelling, choices, read };
}

/** Several words out of a fixed set. */
export function choiceList<C extends string>(flags: Flags, choices: readonly C[], help: string): Option<readonly C[] | undefined> {
  return {
    flags,
    help,
    arity: 'many',
    required: false,
    choices,
    read: (words) => words?.filter((word) => word !== nextUse).map((word) => pick(flags, choices, word)),
  };
}

/** The same option, but the command cannot run without it. */
export function required<V>(option: Option<V>): Option<NonNullable<V>> {
  return { ...option, required: true, read: (words) => option.read(words) as NonNullable<V> };
}

function pick<C extends string>(flags: Flags, choices: readonly C[], word: string): C {
  const found = choices.find((candidate) => candidate.toLowerCase() === word.toLowerCase());
  if (found !== undefined) return found;
  throw usageError(`argument ${flags.join('/')}: '${word}' is not a valid value. Allowed values: ${choices.join(', ')}.`);
}

function last(words: readonly string[] | undefined): string | undefined {
  return words?.at(-1);
}
