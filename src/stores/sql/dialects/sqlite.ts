import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import SqliteDatabase, { type Database } from 'better-sqlite3';

import { ServiceError } from '../../../kernel/service-error.ts';
import { StoreOpenError } from '../store-open-error.ts';
import type { SqlExecutor } from '../schema.ts';
import type { SqlColumnTypes, SqlDialect } from './sql-dialect.ts';
import { createSqliteExecutor } from './sqlite-driver.ts';

export const sqliteColumnTypes: SqlColumnTypes = { bytes: 'blob' };

/** How long a statement waits for the lock of another process, in milliseconds. The whole process waits with it. */
const busyTimeout = 5000;

/**
 * How long a transaction waits for the lock at a stretch, in milliseconds; others are short. Then the requests of this process
 * have their turn, and it asks again.
 */
const lockStretch = 3;
const lockAttempts = 2000;

/** Pages (4 KiB) after which a commit moves the log into the database: often enough that each move stays short. */
const checkpointPages = 1000;

/** What remains of a log that a burst has grown, in bytes. */
const journalSizeLimit = 64 * 1024 * 1024;

const ownerOnly = 0o600;

/**
 * Opens a file, or `:memory:`; a guest opens one that another process has in use. `accept` looks at what is there before anything is written and throws to refuse it.
 * Throws `StoreOpenError`.
 */
export async function openSqlite(
  path: string,
  accept: (found: SqlExecutor) => Promise<void>,
  { isGuest = false }: { readonly isGuest?: boolean } = {},
): Promise<SqlDialect> {
  if (path === ':memory:') return openMemory(accept);
  const opened: Database[] = [];
  try {
    const walBytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    createForOwner(path);
    const writing = new SqliteDatabase(path, { timeout: busyTimeout });
    opened.push(writing);
    const writer = createSqliteExecutor(writing, { use: 'one writer' });
    await accept(writer);
    closeToOthers(path);
    configure(writing, path);
    // What a crash left in the log moves into the database now, not under the first requests; nor while others are at work.
    if (!isGuest) writing.pragma('wal_checkpoint(truncate)');
    const reading = new SqliteDatabase(path, { timeout: busyTimeout, readonly: true });
    opened.unshift(reading);
    const transaction = transactionsOn(writer, writing);
    const reader = createSqliteExecutor(reading, { use: 'readers', idle: writing });
    return dialectOf({ writer, reader, transaction, writing, opened, walBytes });
  } catch (error) {
    for (const database of opened) database.close();
    throw asOpenError(error, path);
  }
}

async function openMemory(accept: (found: SqlExecutor) => Promise<void>): Promise<SqlDialect> {
  const database = new SqliteDatabase(':memory:');
  database.pragma('foreign_keys = on');
  const executor = createSqliteExecutor(database);
  await accept(executor);
  // Readers share the connection, and wait until the transaction is over.
  const transaction: SqlDialect['transaction'] = (work) => executor.transaction().execute(work);
  return dialectOf({ writer: executor, reader: executor, transaction, writing: database, opened: [database], walBytes: 0 });
}

function dialectOf(parts: {
  readonly writer: SqlExecutor;
  readonly reader: SqlExecutor;
  readonly transaction: SqlDialect['transaction'];
  readonly writing: Database;
  /** In the order in which they are closed: the last one to leave empties the log, and only a writing one can. */
  readonly opened: readonly Database[];
  readonly walBytes: number;
}): SqlDialect {
  return {
    columnTypes: sqliteColumnTypes,
    writer: parts.writer,
    reader: parts.reader,
    walBytes: parts.walBytes,
    transaction: parts.transaction,
    isInTransaction: () => parts.writing.inTransaction,
    refusalOf,
    close() {
      for (const database of parts.opened) database.close();
      return Promise.resolve();
    },
  };
}

/** On a connection that nobody else uses, a transaction is begun and ended by two statements. */
function transactionsOn(writer: SqlExecutor, writing: Database): SqlDialect['transaction'] {
  const [begin, commit, rollback] = ['begin immediate', 'commit', 'rollback'].map((text) => writing.prepare(text));
  const [waitShort, waitLong] = [lockStretch, busyTimeout].map((time) => writing.prepare(`pragma busy_timeout = ${time}`));
  async function takeLock(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        waitShort?.all();
        // A deferred one that reads first cannot be upgraded once another process has written: it fails instead of waiting.
        begin?.run();
        return;
      } catch (error) {
        if (!isBusy(error) || attempt === lockAttempts) throw error;
      } finally {
        waitLong?.all();
      }
      await delay(1);
    }
  }
  return async (work) => {
    await takeLock();
    try {
      const result = await work(writer);
      commit?.run();
      return result;
    } catch (error) {
      // A full disk or an I/O error ends it by itself; a second rollback would hide the first error.
      if (writing.inTransaction) rollback?.run();
      throw error;
    }
  };
}

const isBusy = (error: unknown): boolean => error instanceof SqliteDatabase.SqliteError && error.code.startsWith('SQLITE_BUSY');

/** SQLite would create it readable for everybody; its log and index take over the mode of the database. */
function createForOwner(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, 'wx', ownerOnly));
}

function closeToOthers(path: string): void {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    if (existsSync(file)) chmodSync(file, ownerOnly);
  }
}

function configure(database: Database, path: string): void {
  if (database.pragma('journal_mode = wal', { simple: true }) !== 'wal') {
    throw new StoreOpenError(
      `${path} cannot be used: its file system does not support a write-ahead log. Choose a folder on a local disk.`,
    );
  }
  // The library was compiled with NORMAL for this mode, which loses the last commits in a power cut.
  database.pragma('synchronous = full');
  // macOS: its fsync stops at the disk's cache; this asks for the platter. Elsewhere it changes nothing.
  database.pragma('fullfsync = on');
  database.pragma('foreign_keys = on');
  database.pragma(`wal_autocheckpoint = ${checkpointPages}`);
  database.pragma(`journal_size_limit = ${journalSizeLimit}`);
}

const reasons: Readonly<Record<string, (path: string) => string>> = {
  SQLITE_NOTADB: (path) => `${path} is not a database. Move it away, or choose another data folder.`,
  SQLITE_CORRUPT: (path) => `${path} is damaged. Restore it from a backup, or move it away to start empty.`,
  SQLITE_BUSY: (path) => `${path} is in use by another process. Stop that process, or choose another data folder.`,
  SQLITE_READONLY: (path) => `${path} cannot be written to. Check the permissions of the file and of its folder.`,
  SQLITE_CANTOPEN: (path) => `${path} cannot be opened. Check that it is a file and that its folder can be written to.`,
  ENOENT: (path) => `${path} cannot be created, because its folder does not exist. Create the folder first.`,
  ENOTDIR: (path) => `${path} cannot be created, because a part of its path is a file. Choose another data folder.`,
  EACCES: (path) => `${path} cannot be opened. Check the permissions of the file and of its folder.`,
  EPERM: (path) => `${path} belongs to another user. Run as that user, or choose another data folder.`,
  EROFS: (path) => `${path} is on a file system that cannot be written to. Choose another data folder.`,
  ENOSPC: (path) => `${path} cannot be created, because the disk is full.`,
  SQLITE_FULL: (path) => `${path} cannot be opened, because the disk is full.`,
};

/** Seconds until a client tries again: an operator needs more than that to make room, and a herd of devices is kept slow. */
const fullDiskRetrySeconds = 30;

function refusalOf(failure: unknown): ServiceError | undefined {
  if (!(failure instanceof SqliteDatabase.SqliteError)) return undefined;
  const { code, message } = failure;
  const details = { detail: `${code}: ${message}`, retryAfterSeconds: fullDiskRetrySeconds };
  if (code === 'SQLITE_FULL')
    return new ServiceError('ServerBusy', 'The service cannot store anything now, because its disk is full.', details);
  if (code.startsWith('SQLITE_IOERR')) return new ServiceError('ServerBusy', 'The service cannot store anything now.', details);
  return undefined;
}

function asOpenError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  const { code } = error;
  // Extended codes continue the plain one: SQLITE_CANTOPEN_ISDIR, SQLITE_READONLY_DIRECTORY.
  const reason = Object.entries(reasons).find(([known]) => code === known || code.startsWith(`${known}_`));
  return reason === undefined ? error : new StoreOpenError(reason[1](path), { cause: error });
}
