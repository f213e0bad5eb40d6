import { AsyncLocalStorage } from 'node:async_hooks';

import type { RootOperationNode } from 'kysely';

import type { Cause } from '../../audit/actor.ts';
import type { AuditKeys } from '../../audit/audit-keys.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { createPlans } from '../audited/repositories.ts';
import type { SqlDialect } from './dialects/sql-dialect.ts';
import { openSqlite, sqliteColumnTypes } from './dialects/sqlite.ts';
import { migrate, refuseForeign } from './migrations/migrate.ts';
import { guarded } from './query-guard.ts';
import { markClosed, markOpen } from './recovery.ts';
import { createRepositories, type SqlRepositories } from './repositories.ts';
import type { Work, WriteScope } from './write-group.ts';
import { createWriteQueue } from './write-queue.ts';

export type { SqlRepositories } from './repositories.ts';
export type { SqlTransaction } from './write-group.ts';

/** The state of both domains in one database. */
export interface SqlStore {
  /** Committed state only. Not for use inside `write`: that has its transaction. */
  readonly read: SqlRepositories;
  /**
   * Runs `work` alone, in a savepoint of a transaction that it may share with other writes, and resolves when its changes
   * are durable. Whatever `work` throws undoes its changes only and rejects this call. When the commit fails it rejects too.
   * Throws `ServerBusy` when too many writes wait, and `ShuttingDown` after `close`.
   *
   * What it changed goes into the audit trail with it, on behalf of `cause`; of the service itself when there is none.
   */
  write<T>(work: Work<T>, cause?: Cause): Promise<T>;
  /** What the start found: whether the last user of the store closed it, and the size of the log it left. A guest finds nothing. */
  readonly recovery: { readonly cleanShutdown: boolean; readonly walBytes: number };
  /** Finishes the writes that were accepted; the host then leaves the mark of an orderly shutdown. */
  close(): Promise<void>;
}

export interface SqlStoreOptions {
  /** A file (its folder exists), or `:memory:`. */
  readonly path: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Seals the audit trail and tells secrets apart in it; without them it has no seal, and every secret is `***`. */
  readonly auditKeys?: AuditKeys;
  /**
   * Several processes may use one file. The host, who is the first to open it and the last to close it, brings it up to date and
   * says whether it was closed in order; guests leave both to it.
   */
  readonly as?: 'host' | 'guest';
}

/** A few seconds of work for a slow disk. More than this would be answered too late to be of use, and would only fill memory. */
const queuedWorks = 20_000;

/** Opens or creates the store. Throws `StoreOpenError` with a sentence for the operator. */
export async function openSqlStore({ path, log, clock, auditKeys, as: role = 'host' }: SqlStoreOptions): Promise<SqlStore> {
  const isGuest = role === 'guest';
  const dialect = await openSqlite(path, (found) => refuseForeign(found, { path, types: sqliteColumnTypes }), { isGuest });
  try {
    if (isGuest) {
      log.info('store.joined');
      return createStore({ dialect, recovery: { cleanShutdown: true, walBytes: 0 }, log, clock, auditKeys });
    }
    const migrated = await migrate(dialect);
    const cleanShutdown = await markOpen(dialect.writer, clock.now());
    const recovery = { cleanShutdown, walBytes: dialect.walBytes };
    log.info('store.opened', { ...recovery, migrated });
    const onClosed = (): Promise<void> => markClosed(dialect.writer, clock.now());
    return createStore({ dialect, recovery, log, clock, auditKeys, onClosed });
  } catch (error) {
    await dialect.close();
    throw error;
  }
}

function createStore(deps: {
  readonly dialect: SqlDialect;
  readonly recovery: SqlStore['recovery'];
  readonly log: Logger;
  readonly clock: Clock;
  readonly auditKeys: AuditKeys | undefined;
  /** After the last write, before the file is let go. */
  readonly onClosed?: () => Promise<void>;
}): SqlStore {
  const { dialect, log, clock, auditKeys } = deps;
  const scopes = new AsyncLocalStorage<WriteScope>();
  const queue = createWriteQueue({
    dialect,
    scopes,
    log,
    clock,
    queuedWorks,
    plans: createPlans((secret) => auditKeys?.fingerprint(secret) ?? '***'),
    repositories: (db) => createRepositories(db, auditKeys),
  });
  let closed: Promise<void> | undefined;

  function assertReadable(query: RootOperationNode): void {
    if (scopes.getStore()?.active === true) throw new Error('bug: store.read inside a write would not see its rows; use the transaction');
    if (query.kind !== 'SelectQueryNode') throw new Error('bug: store.read was used to change rows; use store.write');
    if (closed !== undefined) throw new ServiceError('ShuttingDown', 'The service is shutting down.');
  }

  async function shutDown(): Promise<void> {
    try {
      await queue.close();
      await deps.onClosed?.();
    } finally {
      await dialect.close();
    }
    log.info('store.closed');
  }

  return {
    read: createRepositories(guarded(dialect.reader, assertReadable), auditKeys),
    write: (work, cause) => queue.write(work, cause),
    recovery: deps.recovery,
    close() {
      if (scopes.getStore()?.active === true) return Promise.reject(new Error('bug: a store closed inside a write would wait for itself'));
      closed ??= shutDown();
      return closed;
    },
  };
}
