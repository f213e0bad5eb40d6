import { Migrator } from 'kysely';

import type { SqlColumnTypes, SqlDialect } from '../dialects/sql-dialect.ts';
import type { SqlExecutor } from '../schema.ts';
import { StoreOpenError } from '../store-open-error.ts';
import { migrations } from './migrations.ts';

const migrationTable = 'kysely_migration';

/** Brings the schema up to date, all pending migrations in one transaction. Returns the names of those it ran. */
export async function migrate(dialect: Pick<SqlDialect, 'writer' | 'columnTypes'>): Promise<readonly string[]> {
  const known = migrations(dialect.columnTypes);
  const migrator = new Migrator({
    db: dialect.writer,
    provider: { getMigrations: () => Promise.resolve(known) },
    migrationTableName: migrationTable,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error !== undefined) throw new Error('the schema could not be brought up to date', { cause: error });
  return results.map((result) => result.migrationName);
}

/** Refuses a database of another program, or of a newer version of this one, without writing to it. */
export async function refuseForeign(
  found: SqlExecutor,
  { path, types }: { readonly path: string; readonly types: SqlColumnTypes },
): Promise<void> {
  const tables = await found.introspection.getTables({ withInternalKyselyTables: true });
  if (tables.length === 0) return;
  if (!tables.some((table) => table.name === migrationTable)) {
    throw new StoreOpenError(`${path} is a database of another program. Choose another data folder.`);
  }
  const applied = await found.withTables<{ [migrationTable]: { name: string } }>().selectFrom(migrationTable).select('name').execute();
  const known = migrations(types);
  const newer = applied.find(({ name }) => !Object.hasOwn(known, name));
  if (newer === undefined) return;
  throw new StoreOpenError(
    `${path} was written by a newer version of Muster (its change "${newer.name}" is unknown to this one); ` +
      'start that version or a later one, nothing was changed.',
  );
}
