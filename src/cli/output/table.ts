import type { Json } from '../../kernel/json.ts';
import { jsonText } from '../json-text.ts';

/** What az leaves out of a table that no --query asked for; an id that is no path of a resource is what the next command needs. */
const isSkipped = (key: string, member: Json): boolean =>
  key === 'type' || key === 'etag' || (key === 'id' && typeof member === 'string' && member.startsWith('/'));

/**
 * A table with a line per object, a column per plain member. Columns are sorted, unless a query chose them.
 * Nested objects and lists have no place in a table; `--query` brings out what is in them.
 */
export function renderTable(value: Json, queried: boolean): string {
  const items: readonly Json[] = Array.isArray(value) ? value : [value];
  const rows = items.map((item) => toRow(item, queried)).filter((row) => row.size > 0);
  const headings = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  if (headings.length === 0) return '';
  const body = rows.map((row) => headings.map((heading) => row.get(heading) ?? ''));
  const widths = headings.map((heading, at) => Math.max(heading.length, ...body.map((cells) => cells[at]?.length ?? 0)));
  const lines = [headings, widths.map((width) => '-'.repeat(width)), ...body];
  return lines
    .map(
      (cells) =>
        `${cells
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function toRow(item: Json, queried: boolean): ReadonlyMap<string, string> {
  if (Array.isArray(item)) {
    return new Map(item.flatMap((cell: Json, at): [string, string][] => (isPlain(cell) ? [[`Column${at + 1}`, cellText(cell)]] : [])));
  }
  if (typeof item !== 'object' || item === null) return item === null ? new Map() : new Map([['Result', cellText(item)]]);
  const members = Object.entries(item).filter(([key, member]) => isPlain(member) && (queried || !isSkipped(key, member)));
  if (!queried) members.sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  return new Map(members.map(([key, member]) => [key.charAt(0).toUpperCase() + key.slice(1), cellText(member)]));
}

function isPlain(value: Json): value is string | number | boolean {
  return value !== null && typeof value !== 'object';
}

function cellText(value: Json): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return jsonText(value);
}
