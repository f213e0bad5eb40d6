import { usageError } from '../exit-code.ts';

/** Reads `key=value;key2=value2`, as az writes properties. */
export function readPairs(given: string | undefined, flag: string): Readonly<Record<string, string>> {
  const pairs = (given ?? '').split(';').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usageError(`argument ${flag}: '${pair}' is not key=value.`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1)] as const;
    }),
  );
}
