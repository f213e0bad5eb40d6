import { isJsonObject, type Json } from '../../kernel/json.ts';

/** A member of an answer as text, found by its path; empty when it is not there or not plain. */
export function textAt(value: Json | undefined, ...path: readonly (string | number)[]): string {
  let found = value;
  for (const step of path) {
    if (Array.isArray(found)) found = (found as readonly Json[])[Number(step)];
    else found = isJsonObject(found) ? found[step] : undefined;
  }
  return typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean' ? String(found) : '';
}

/** The elements of an answer that is a list. */
export function elementsOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}
