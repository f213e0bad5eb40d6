import { usageError } from '../../exit-code.ts';
import { type Option, text } from '../../grammar/option.ts';

const spans = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A moment: `2026-06-15T12:00:00Z`, or a span from now such as `30m`, `8h` or `14d`. Read as ISO 8601. */
export function moment(flags: readonly [string, ...string[]], help: string): Option<string | undefined> {
  return momentOption(text(flags, `${help} A time (2026-06-15T12:00:00Z) or a span from now (30m, 8h, 14d).`), 1);
}

/** The same, where a span counts back from now. */
export function pastMoment(flags: readonly [string, ...string[]], help: string): Option<string | undefined> {
  return momentOption(text(flags, `${help} A time (2026-06-15T12:00:00Z) or how long ago (30m, 8h, 14d).`), -1);
}

function momentOption(option: Option<string | undefined>, direction: 1 | -1): Option<string | undefined> {
  return {
    ...option,
    read: (words) => {
      const word = option.read(words);
      return word === undefined ? undefined : readMoment(option.flags[0], word, direction);
    },
  };
}

function readMoment(flag: string, word: string, direction: 1 | -1): string {
  const span = /^(\d{1,6})([smhd])$/u.exec(word);
  if (span !== null) return new Date(Date.now() + direction * Number(span[1]) * spans[span[2] as keyof typeof spans]).toISOString();
  const at = /^\d{4}-\d{2}-\d{2}T/u.test(word) ? Date.parse(word) : Number.NaN;
  if (Number.isNaN(at))
    throw usageError(`argument ${flag}: '${word}' is neither a time like 2026-06-15T12:00:00Z nor a span like 30m, 8h or 14d.`);
  return new Date(at).toISOString();
}
