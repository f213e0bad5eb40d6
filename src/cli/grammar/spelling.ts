import { usageError } from '../exit-code.ts';
import { nextUse, type Option } from './option.ts';

type Options = readonly Option<unknown>[];

/**
 * Rewrites the words after a command so that every option stands under its canonical long name: az knows several
 * aliases per option, and (through argparse) any unambiguous beginning of a long one. Values are left as they are.
 * Throws a usage error for an ambiguous beginning and for an option without its value.
 */
export function canonicalise(given: readonly string[], options: Options): readonly string[] {
  const words = withFlag(given, options);
  const result: string[] = [];
  const used = new Set<Option<unknown>>();
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? '';
    const option = word.startsWith('-') ? resolveFlag(word, options) : undefined;
    if (option === undefined) {
      result.push(word);
      at += 1;
      continue;
    }
    const inline = word.startsWith('--') && word.includes('=') ? word.slice(word.indexOf('=')) : '';
    result.push(option.flags[0] + inline);
    const values = inline === '' ? valuesAfter(words.slice(at + 1), option, options) : [];
    // Commander adds up the words of several uses, so where the next use begins has to be said.
    if (option.arity === 'many' && used.has(option)) result.push(nextUse);
    used.add(option);
    result.push(...values);
    at += 1 + values.length;
  }
  return result;
}

/** Words right after the command get the flag of the option that may go without. */
function withFlag(words: readonly string[], options: Options): readonly string[] {
  const option = options.find(({ positional }) => positional === true);
  const [first] = words;
  return option === undefined || first === undefined || first.startsWith('-') ? words : [option.flags[0], ...words];
}

function resolveFlag(word: string, options: Options): Option<unknown> | undefined {
  const name = word.split('=', 1)[0] ?? word;
  const exact = options.find((option) => option.flags.includes(name));
  if (exact !== undefined || !name.startsWith('--') || name === '--') return exact;
  const matching = options.flatMap((option) =>
    option.flags.filter((spelling) => spelling.startsWith(name)).map((spelling) => ({ option, spelling })),
  );
  const distinct = new Set(matching.map(({ option }) => option));
  if (distinct.size > 1) {
    throw usageError(`ambiguous option: ${name} could match ${matching.map(({ spelling }) => spelling).join(', ')}.`);
  }
  return matching[0]?.option;
}

function valuesAfter(words: readonly string[], option: Option<unknown>, options: Options): readonly string[] {
  const isFlag = (word: string): boolean => options.some(({ flags }) => flags.includes(word));
  const [first] = words;
  const missing = first === undefined || isFlag(first);
  if (option.arity === 'maybe') return missing || first.startsWith('-') ? [] : [first];
  if (missing) {
    const wanted = option.arity === 'one' ? 'one argument' : 'at least one argument';
    throw usageError(`argument ${option.flags.join('/')}: expected ${wanted}.`);
  }
  if (option.arity === 'one') return [first];
  const end = words.findIndex((word, at) => at > 0 && (isFlag(word) || word.startsWith('--')));
  return end < 0 ? words : words.slice(0, end);
}
