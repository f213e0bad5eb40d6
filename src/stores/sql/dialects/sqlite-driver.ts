import type { Database, Statement } from 'better-sqlite3';
import {
  CompiledQuery,
  Kysely,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type QueryResult,
  type SqliteDatabase,
} from 'kysely';
import { LRUCache } from 'lru-cache';

import type { DirectRunner } from '../prepared.ts';
import type { SqlTables } from '../schema.ts';

/** The service has about a hundred different statements; multi-row inserts add one per row count. */
const preparedStatements = 256;

/**
 * Who uses a connection: everybody; readers, who never have a transaction and need not wait for each other's turn; or one
 * writer, whose turn it always is.
 */
export type ConnectionUse = 'everybody' | 'readers' | 'one writer';

export interface ExecutorOptions {
  readonly use?: ConnectionUse;
  /** For readers: another connection to the same file, which serves them while it is in no transaction. */
  readonly idle?: Database;
}

/** Queries over one connection. `database.close()` stays with whoever opened it. */
export function createSqliteExecutor(database: Database, { use = 'everybody', idle }: ExecutorOptions = {}): Kysely<SqlTables> {
  const own = withPreparedStatements(database);
  const statements = idle === undefined ? own : preferring(idle, own);
  return new Kysely<SqlTables>({
    dialect: {
      createDriver: () =>
        use === 'readers' ? new ReadingSqliteDriver(database, statements) : new ImmediateSqliteDriver(database, statements),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createAdapter: () => new DirectSqliteAdapter(statements, use),
      createIntrospector: (db) => new SqliteIntrospector(db),
    },
  });
}

/** Preparing costs several times what running a lookup costs, so statements are kept by their text. */
function withPreparedStatements(database: Database): PreparedStatements {
  const statements = new LRUCache<string, Statement>({ max: preparedStatements });
  const prepare = (text: string): Statement => {
    const known = statements.get(text);
    if (known !== undefined) return known;
    const statement = database.prepare(text);
    statements.set(text, statement);
    return statement;
  };
  return { close: () => database.close(), prepare, runner: (text) => runnerOf(prepare(text)) };
}

/**
 * A commit of one connection empties the cache of every other one, but not its own: while it is in no transaction it sees what
 * is committed, and has it in memory. Only for queries that are run at once; what would write stays with the connection that refuses it.
 */
function preferring(idle: Database, others: PreparedStatements): PreparedStatements {
  const warm = withPreparedStatements(idle);
  return {
    close: () => others.close(),
    prepare(text) {
      const statement = idle.inTransaction ? undefined : warm.prepare(text);
      return statement?.readonly === true ? statement : others.prepare(text);
    },
    runner(text) {
      const warmRun = warm.runner(text);
      const run = others.runner(text);
      return warm.prepare(text).readonly ? (parameters) => (idle.inTransaction ? run : warmRun)(parameters) : run;
    },
  };
}

type Run = (parameters: readonly unknown[]) => QueryResult<unknown>;

/** What a statement is does not change, so it is asked once. */
function runnerOf(statement: Statement): Run {
  if (statement.reader) return (parameters) => ({ rows: statement.all(...parameters) });
  return (parameters) => {
    const { changes, lastInsertRowid } = statement.run(...parameters);
    return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
  };
}

interface PreparedStatements extends SqliteDatabase {
  prepare(text: string): Statement;
  /** For whoever runs one query again and again. */
  runner(text: string): Run;
}

class ImmediateSqliteDriver extends SqliteDriver {
  readonly #database: Database;

  constructor(database: Database, statements: SqliteDatabase) {
    super({ database: statements });
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

/**
 * SQLite can create tables in a transaction; with this the migrator does, and a first start that is killed leaves no half
 * schema.
 *
 * It also answers at once, so that a query that is built already and need not wait for its turn goes the short way.
 */
class DirectSqliteAdapter extends SqliteAdapter implements DirectRunner {
  readonly #statements: PreparedStatements;
  readonly #use: ConnectionUse;

  constructor(statements: PreparedStatements, use: ConnectionUse) {
    super();
    this.#statements = statements;
    this.#use = use;
  }

  override get supportsTransactionalDdl(): boolean {
    return true;
  }

  canRun(isInTransaction: boolean): boolean {
    return isInTransaction || this.#use !== 'everybody';
  }

  prepare<Row>(sql: string): (parameters: readonly unknown[]) => QueryResult<Row> {
    // The rows are what the query says, which the schema has been compared with.
    return this.#statements.runner(sql) as (parameters: readonly unknown[]) => QueryResult<Row>;
  }
}
