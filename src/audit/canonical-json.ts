import type { Json } from '../kernel/json.ts';

/**
 * The one text of a JSON value: members sorted by the UTF-16 units of their names, no blanks, numbers and texts as ECMAScript
 * writes them (RFC 8785 section 3.2). Two values have the same text exactly when they are the same.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.keys(value)
    .toSorted(byUtf16)
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name] ?? null)}`);
  return `{${members.join(',')}}`;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Never by locale: what is written on one machine is checked on another. */
function byUtf16(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
