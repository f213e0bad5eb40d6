import type { AsyncLocalStorage } from 'node:async_hooks';

import type { Cause } from '../../audit/actor.ts';
import type { Change, ChangeRecorder } from '../../audit/change.ts';
import type { Clock } from '../../kernel/clock.ts';
import { auditRepositories, type Plans } from '../audited/repositories.ts';

import type { SqlDialect } from './dialects/sql-dialect.ts';
import { prepareText } from './prepared.ts';
import { guarded } from './query-guard.ts';
import type { SqlRepositories } from './repositories.ts';
import type { SqlExecutor } from './schema.ts';

/** What a write may use; valid until its work has ended. Every change of it is recorded, see `stores/audited`. */
export type SqlTransaction = SqlRepositories & {
  /** For changes that no row shows by itself. */
  readonly changes: ChangeRecorder;
  /** Runs after the commit is durable and before the writer is told; never when it failed. */
  afterCommit(effect: () => void): void;
};

export type Work<T> = (tx: SqlTransaction) => Promise<T>;

/** A work, and on whose behalf it is done. */
export interface CausedWork {
  readonly work: Work<unknown>;
  readonly cause: Cause;
}

/** The write that the running code belongs to; `active` until its work has ended. */
export interface WriteScope {
  active: boolean;
}

/** What came of one work of a group that was committed. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown; readonly effects: readonly (() => void)[] }
  | { readonly ok: false; readonly error: unknown };

export interface GroupDependencies {
  readonly dialect: SqlDialect;
  readonly repositories: (db: SqlExecutor) => SqlRepositories;
  readonly scopes: AsyncLocalStorage<WriteScope>;
  readonly plans: Plans;
  readonly clock: Clock;
}

const savepoint = prepareText('savepoint work');
const release = prepareText('release savepoint work');
const rollback = prepareText('rollback to savepoint work');

/** Runs works one after the other in one transaction, each in a savepoint of its own. Throws when none of it was committed. */
export type CommitGroup = (works: readonly CausedWork[]) => Promise<readonly Outcome[]>;

export function createCommitGroup(deps: GroupDependencies): CommitGroup {
  const { dialect, plans } = deps;
  // There are many of them, each over many statements, and most databases have one executor for all transactions.
  const watched = new WeakMap<SqlExecutor, { readonly db: SqlExecutor; readonly repositories: WatchedRepositories }>();

  function over(executor: SqlExecutor) {
    const known = watched.get(executor);
    if (known !== undefined) return known;
    const db = guarded(executor, () => assertUsable(deps));
    const made = { db: executor, repositories: watch(deps.repositories(db), plans) };
    watched.set(executor, made);
    return made;
  }

  return async (works) => {
    try {
      return await dialect.transaction((executor) => runAll(works, executor));
    } finally {
      // Following every promise of the process costs each of them half its speed: only while there is a work to tell from others.
      deps.scopes.disable();
    }
  };

  async function runAll(works: readonly CausedWork[], executor: SqlExecutor): Promise<readonly Outcome[]> {
    const { db, repositories } = over(executor);
    const outcomes: Outcome[] = [];
    for (const work of works) {
      await savepoint(db);
      const outcome = await runWork(work, repositories, deps);
      // A full disk, for one, ends the transaction: then the work's own error is the reason, not the savepoint that is gone.
      if (!dialect.isInTransaction()) throw outcome.ok ? transactionLost() : outcome.error;
      if (!outcome.ok) await rollback(db);
      await release(db);
      outcomes.push(outcome);
    }
    return outcomes;
  }
}

/** The repositories of transactions, whose works take turns. */
interface WatchedRepositories {
  readonly all: SqlRepositories;
  /** What was changed since the last call. */
  takeChanges(): readonly Change[];
  record(change: Change): void;
}

function watch(repositories: SqlRepositories, plans: Plans): WatchedRepositories {
  let changes: Change[] = [];
  const record = (change: Change): void => void changes.push(change);
  return {
    all: { ...repositories, ...auditRepositories(repositories, plans, record) },
    takeChanges() {
      const taken = changes;
      changes = [];
      return taken;
    },
    record,
  };
}

async function runWork(
  { work, cause }: CausedWork,
  repositories: WatchedRepositories,
  { scopes, clock }: GroupDependencies,
): Promise<Outcome> {
  const scope: WriteScope = { active: true };
  const effects: (() => void)[] = [];
  const afterCommit = (effect: () => void): void => {
    if (!scope.active) throw new Error('bug: afterCommit was called after its write had ended');
    effects.push(effect);
  };
  try {
    const value = await scopes.run(scope, async () => {
      const result = await work({ ...repositories.all, afterCommit, changes: { record: (change) => repositories.record(change) } });
      const changes = repositories.takeChanges();
      if (changes.length > 0) await repositories.all.audit.append(changes, { cause, at: clock.now() });
      return result;
    });
    return { ok: true, value, effects };
  } catch (error) {
    repositories.takeChanges();
    return { ok: false, error };
  } finally {
    scope.active = false;
  }
}

/** Every query of a transaction passes here: one that was forgotten or leaked would otherwise land in a neighbour's savepoint. */
function assertUsable({ scopes, dialect }: GroupDependencies): void {
  if (scopes.getStore()?.active !== true) throw new Error('bug: a transaction was used outside its write');
  if (!dialect.isInTransaction()) throw transactionLost();
}

const transactionLost = (): Error => new Error('the database ended the transaction after an earlier failure');
