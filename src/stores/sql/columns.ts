import type { InitialTwin } from '../../contracts/dps/enrollment.ts';
import type { IpFilterRule } from '../../contracts/dps/ip-filter-rule.ts';
import type { Json } from '../../kernel/json.ts';
import type { Page, PageRequest } from '../../kernel/page.ts';
import type { JsonText } from './schema.ts';

/** A row without its NULLs: what may be NULL in a column is an absent member in the domain. */
export type Present<T> = { [K in keyof T as null extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as null extends T[K] ? K : never]?: Exclude<T[K], null>;
};

export function withoutNulls<T extends object>(row: T): Present<T> {
  const present: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) if (value !== null) present[name] = value;
  return present as Present<T>;
}

/** A column that is NULL in other rows but never in rows of this kind. */
export function notNull<T>(value: T | null): T {
  if (value === null) throw new Error('a stored row lacks a column that its kind has to have');
  return value;
}

/** The form under which a name that compares without case is found. Names are ASCII by the rules of both APIs. */
export function keyOf(name: string): string {
  return name.toLowerCase();
}

export const flagOf = (value: boolean): number => (value ? 1 : 0);

export const jsonText = <T extends Json | InitialTwin | readonly IpFilterRule[]>(value: T): JsonText<T> =>
  JSON.stringify(value) as JsonText<T>;

export function jsonTextOrNull<T extends Json | InitialTwin>(value: T | undefined): JsonText<T> | null {
  return value === undefined ? null : jsonText(value);
}

/** Reads JSON that this store wrote itself, so its shape is the one that was handed in. */
export function parseJson<T>(text: JsonText<T>): T {
  return JSON.parse(text) as T;
}

export function parseJsonOrNull<T>(text: JsonText<T> | null): T | null {
  return text === null ? null : parseJson(text);
}

/** How many rows to ask for, so that the page can tell whether more follow. */
export const probeLimit = (page: PageRequest): number => page.limit + 1;

/** Cuts the rows of a query with `probeLimit` to a page. Keys, not offsets: stable while others insert and delete. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  page: PageRequest,
  read: { readonly key: (row: Row) => string; readonly item: (row: Row) => Item },
): Page<Item> {
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  const items = shown.map(read.item);
  return rows.length > shown.length && last !== undefined ? { items, next: read.key(last) } : { items };
}
