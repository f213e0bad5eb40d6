import { setImmediate as nextTurn } from 'node:timers/promises';

import { type Cause, systemCause } from '../../audit/actor.ts';
import { milliseconds, seconds } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { type CausedWork, createCommitGroup, type GroupDependencies, type Outcome, type Work } from './write-group.ts';

export interface WriteQueue {
  /** Resolves once the work's changes are durable; rejects with what the work threw, what failed the commit, `ServerBusy` or `ShuttingDown`. */
  write<T>(work: Work<T>, cause?: Cause): Promise<T>;
  /** Takes no more work and resolves when what was queued is done. */
  close(): Promise<void>;
}

export interface WriteQueueDependencies extends GroupDependencies {
  readonly log: Logger;
  /** How many works may wait; one more is refused. */
  readonly queuedWorks: number;
}

interface QueuedWork extends CausedWork {
  settle(outcome: Outcome): void;
}

/** One durable commit costs as much as dozens of rows; beyond this many the others wait too long for their answer. */
const worksPerCommit = 64;

/**
 * The event loop accepts one connection a turn, so devices that come one after the other ask one turn apart. While each turn
 * brings another work, a group waits for more; two without one end the wait, which take microseconds where nobody else is served.
 */
const gatherTurns = 16;
const quietTurns = 2;
const gatherAtMost = milliseconds(20);

/** A work waits for nothing but the store, so one that takes this long hangs, and everybody behind it. */
const slowGroup = seconds(10);

/** Groups writes: all of a group share one transaction and one flush to disk. */
export function createWriteQueue(deps: WriteQueueDependencies): WriteQueue {
  const { scopes, log, clock } = deps;
  const commitGroup = createCommitGroup(deps);
  const queue: QueuedWork[] = [];
  let pumping: Promise<void> | undefined;
  let closing = false;

  async function pump(): Promise<void> {
    while (queue.length > 0) {
      await gather(queue, { clock, isClosing: () => closing });
      const group = queue.splice(0, worksPerCommit);
      const outcomes = (await commit(group)).map((outcome) => (outcome.ok ? outcome : told(outcome)));
      for (const outcome of outcomes) if (outcome.ok) runEffects(outcome.effects, log);
      for (const [index, outcome] of outcomes.entries()) group[index]?.settle(outcome);
    }
    pumping = undefined;
  }

  /** The database's own words are for the log. */
  function told({ ok, error }: Extract<Outcome, { ok: false }>): Outcome {
    return { ok, error: deps.dialect.refusalOf(error) ?? error };
  }

  async function commit(group: readonly QueuedWork[]): Promise<readonly Outcome[]> {
    const inTime = clock.after(slowGroup, () => log.warn('store.group-slow', { works: group.length, waiting: queue.length }));
    try {
      return await commitGroup(group);
    } catch (error) {
      // Refusals are lost with the group, too: they may rest on rows that were never committed.
      log.error('store.commit-failed', { error, works: group.length });
      return group.map(() => ({ ok: false, error }));
    } finally {
      inTime();
    }
  }

  /** Why no write can be taken now. */
  function refusal(): Error | undefined {
    if (scopes.getStore()?.active === true)
      return new Error('bug: a write inside a write would wait for itself; use the transaction at hand');
    if (closing) return new ServiceError('ShuttingDown', 'The service is shutting down.');
    if (queue.length < deps.queuedWorks) return undefined;
    return new ServiceError('ServerBusy', 'The service has more to store than it can keep up with.', { retryAfterSeconds: 2 });
  }

  return {
    write<T>(work: Work<T>, cause: Cause = systemCause): Promise<T> {
      const refused = refusal();
      if (refused !== undefined) return Promise.reject(refused);
      return new Promise<T>((resolve, reject) => {
        // The value of `work` comes back through its own outcome, so it has its type.
        queue.push({ work, cause, settle: (outcome) => (outcome.ok ? resolve(outcome.value as T) : reject(outcome.error)) });
        pumping ??= pump();
      });
    },
    async close() {
      closing = true;
      await pumping;
    },
  };
}

/** The rest of this turn's requests can still join a group, and so can those of the next ones. */
async function gather(
  queue: readonly QueuedWork[],
  { clock, isClosing }: Pick<WriteQueueDependencies, 'clock'> & { readonly isClosing: () => boolean },
): Promise<void> {
  const since = clock.now();
  let quiet = 0;
  for (let turn = 0; turn < gatherTurns && quiet < quietTurns; turn += 1) {
    const waiting = queue.length;
    await nextTurn();
    if (queue.length >= worksPerCommit || isClosing() || clock.now() - since >= gatherAtMost) return;
    quiet = queue.length > waiting ? 0 : quiet + 1;
  }
}

function runEffects(effects: readonly (() => void)[], log: Logger): void {
  for (const effect of effects) {
    try {
      effect();
    } catch (error) {
      // The rows are committed: nothing can be refused any more, and the next effect has its own duty.
      log.error('store.effect-failed', { error });
    }
  }
}
