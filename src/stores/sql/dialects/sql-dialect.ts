import type { ServiceError } from '../../../kernel/service-error.ts';
import type { SqlExecutor } from '../schema.ts';

/** Column types that databases spell differently. */
export interface SqlColumnTypes {
  readonly bytes: 'blob' | 'bytea';
}

/** A database that is open and ours: what differs between SQLite and others, and nothing else. */
export interface SqlDialect {
  readonly columnTypes: SqlColumnTypes;
  /** Its transactions take the write lock when they begin. */
  readonly writer: SqlExecutor;
  /** Sees committed rows only. The same as `writer` where a second connection could not reach the data; it then waits its turn. */
  readonly reader: SqlExecutor;
  /** Size of the write-ahead log that was found before opening. */
  readonly walBytes: number;
  /**
   * Runs `work` in a transaction, one at a time, and commits; whatever it throws rolls everything back. The executor may be
   * the same each time, so that what is built over it can be kept.
   */
  transaction<T>(work: (db: SqlExecutor) => Promise<T>): Promise<T>;
  /** Whether the transaction that `writer` began is still there: some failures end it without being asked. */
  isInTransaction(): boolean;
  /** What a writer is told when the database failed for a reason outside of the service, as a full disk; `undefined` for bugs. */
  refusalOf(failure: unknown): ServiceError | undefined;
  close(): Promise<void>;
}
