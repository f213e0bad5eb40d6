import type { Database, Statement } from 'better-sqlite3';
import {
  CompiledQuery,
  Kysely,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type SqliteDatabase,
} from 'kysely';
import { LRUCache } from 'lru-cache';

import type { SqlTables } from '../schema.ts';

/** The service has about a hundred different statements; multi-row inserts add one per row count. */
const preparedStatements = 256;

/**
 * Queries over one connection. `database.close()` stays with whoever opened it. On a connection that never has a transaction
 * queries need not wait for each other's turn.
 */
export function createSqliteExecutor(database: Database, { onlyReads = false } = {}): Kysely<SqlTables> {
  return new Kysely<SqlTables>({
    dialect: {
      createDriver: () => (onlyReads ? new ReadingSqliteDriver(database) : new ImmediateSqliteDriver(database)),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createAdapter: () => new TransactionalSqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
    },
  });
}

/** Preparing costs several times what running a lookup costs, so statements are kept by their text. */
function withPreparedStatements(database: Database): SqliteDatabase {
  const statements = new LRUCache<string, Statement>({ max: preparedStatements });
  return {
    close: () => database.close(),
    prepare(text) {
      const known = statements.get(text);
      if (known !== undefined) return known;
      const statement = database.prepare(text);
      statements.set(text, statement);
      return statement;
    },
  };
}

class ImmediateSqliteDriver extends SqliteDriver {
  readonly #database: Database;

  constructor(database: Database) {
    super({ database: withPreparedStatements(database) });
    this.#database = database;
  }

  // A deferred transaction that reads first cannot be upgraded once another process has written: it fails instead of waiting.
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  // A full disk or an I/O error ends the transaction by itself; a second rollback would hide the first error.
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.inTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }
}

class ReadingSqliteDriver extends ImmediateSqliteDriver {
  #only: DatabaseConnection | undefined;

  override async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#only !== undefined) return this.#only;
    const connection = await super.acquireConnection();
    await super.releaseConnection();
    return (this.#only = connection);
  }

  // Nobody waits for it.
  override async releaseConnection(): Promise<void> {}

  override beginTransaction(): Promise<void> {
    return Promise.reject(new Error('bug: a transaction on the connection that only reads'));
  }
}

/** SQLite can create tables in a transaction; with this the migrator does, and a first start that is killed leaves no half schema. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}
