import type { Json } from '../../kernel/json.ts';

/**
 * Tab-separated values as az prints them for scripts: a line per item, members in the order of their names unless a
 * query chose them; a list inside of a line becomes its length, an object nothing. A lone boolean is in lower case
 * and one among others is not: scripts rely on either.
 */
export function renderTsv(value: Json, queried: boolean): string {
  const items: readonly Json[] = Array.isArray(value) ? value : [value];
  return items.map((item) => `${line(item, queried)}\n`).join('');
}

function line(item: Json, queried: boolean): string {
  if (Array.isArray(item)) return item.map(cell).join('\t');
  if (typeof item === 'object' && item !== null) {
    const members = Object.entries(item);
    if (!queried) members.sort(([a], [b]) => (a < b ? -1 : 1));
    return members.map(([, member]) => cell(member)).join('\t');
  }
  return typeof item === 'boolean' ? String(item) : cell(item);
}

function cell(value: Json): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return String(value.length);
  if (typeof value === 'object') return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return String(value);
}
