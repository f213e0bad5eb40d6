import { compile, search } from '@jmespath-community/jmespath';

import type { Json } from '../../kernel/json.ts';
import { failure, usageError } from '../exit-code.ts';

/** Checks a JMESPath expression before anything is sent; throws a usage error that names what is wrong. */
export function checkQuery(expression: string): void {
  try {
    compile(expression);
  } catch (error) {
    throw usageError(`argument --query: '${expression}' is not a JMESPath expression (${wordsOf(error)}).`);
  }
}

/** Applies a JMESPath expression to a result. */
export function applyQuery(value: Json | undefined, expression: string): Json {
  if (value === undefined) return null;
  try {
    return search(JSON.parse(JSON.stringify(value)) as Parameters<typeof search>[0], expression);
  } catch (error) {
    throw failure(`--query '${expression}' cannot be applied to this result: ${wordsOf(error)}.`);
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/u, '') : String(error);
}
