import { usageError } from '../exit-code.ts';

/** `--top` as az reads it: absent and -1 mean all. */
export function readTop(top: number | undefined): number | undefined {
  if (top === undefined || top === -1) return undefined;
  if (top < 1) throw usageError('argument --top: must be 1 or more, or -1 for all.');
  return top;
}
