import type { Migration } from 'kysely';

import type { SqlColumnTypes } from '../dialects/sql-dialect.ts';
import { initialMigration } from './0001-initial.ts';
import { leafByTbsMigration } from './0002-leaf-by-tbs.ts';

/** Every migration by its name, in the order of names. Only ever added to: a released one is never changed. */
export function migrations(types: SqlColumnTypes): Readonly<Record<string, Migration>> {
  return {
    '0001-initial': initialMigration(types),
    '0002-leaf-by-tbs': leafByTbsMigration,
  };
}
