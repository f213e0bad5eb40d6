import type { CreateTableBuilder, Kysely } from 'kysely';

export type Table = CreateTableBuilder<string, string>;

/** Adds columns that are never NULL. */
export function required(table: Table, type: 'text' | 'integer' | 'bigint', names: readonly string[]): Table {
  return names.reduce((builder, name) => builder.addColumn(name, type, (column) => column.notNull()), table);
}

export function optional(table: Table, type: 'text' | 'integer' | 'bigint', names: readonly string[]): Table {
  return names.reduce((builder, name) => builder.addColumn(name, type), table);
}

export const create = (db: Kysely<unknown>, name: string): Table => db.schema.createTable(name);
