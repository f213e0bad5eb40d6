import { limits } from '../../contracts/limits.ts';
import { type Clock, type Instant, plus, seconds } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { FeedbackRow, HubStorage, HubTransaction, SessionBus } from '../ports.ts';
import type { Feedback } from '../service.ts';
import { newLock } from './device-messages.ts';
import { feedbackQueue } from './queues.ts';
import { createReceiver, type MessageSource } from './receiver.ts';
import { settleMessage } from './settle-message.ts';
import { takeMessages } from './take-messages.ts';

interface FeedbackDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** What services hear of their messages, in batches that wait in a queue of their own (chapter 7.2). */
export function createFeedback(deps: FeedbackDeps): Feedback {
  const { storage, bus, clock, ids } = deps;
  return {
    async receive(hub) {
      const source = feedbackSource(deps, hub, undefined);
      if (!(await source.look()).ready) return undefined;
      return (await source.take({ messages: 1, bytes: 0 })).messages[0];
    },

    settle: (hub, lockToken, settlement) =>
      storage.write((transaction) => settleMessage({ transaction, bus, now: clock.now() }, feedbackQueue(hub), { lockToken, settlement })),

    openReceiver: (hub, sink) => createReceiver(deps, feedbackSource(deps, hub, ids.guid()), sink),
  };
}

/** Without a receiver's name the locks are given to whoever has the token. */
function feedbackSource(deps: FeedbackDeps, hub: string, receiver: string | undefined): MessageSource {
  const { storage, bus, clock } = deps;
  const queue = feedbackQueue(hub);
  return {
    queue,
    async look() {
      const now = clock.now();
      const [waiting] = await storage.read.queues.free(queue, { now, limit: 1 });
      const dueAt = batchDueAt(await storage.read.feedback.oldest(hub, limits.feedbackBatch));
      if (waiting !== undefined || (dueAt !== undefined && dueAt <= now)) return { ready: true };
      const moments = [dueAt, await storage.read.queues.nextUnlock(queue, now)].filter((moment) => moment !== undefined);
      return { ready: false, ...(moments.length === 0 ? {} : { next: Math.min(...moments) as Instant }) };
    },
    take: (room) =>
      storage.write(async (transaction) => {
        const now = clock.now();
        await formBatch(transaction, hub, now);
        return takeMessages({ transaction, bus, now }, queue, { room, lock: newLock(deps, limits.messageLockSeconds, receiver) });
      }),
    settle: (lockToken, settlement) =>
      storage.write((transaction) => settleMessage({ transaction, bus, now: clock.now() }, queue, { lockToken, settlement })),
    async release() {
      if (receiver === undefined) return;
      await storage.write(async (transaction) => {
        const released = await transaction.queues.release(queue, receiver);
        if (released > 0) transaction.afterCommit(() => bus.ring({ hub, about: 'queue', queue: queue.name }));
      });
    },
  };
}

/** When the records at hand make a batch: at once if there are enough, else when the oldest has waited long enough. */
function batchDueAt(oldest: readonly FeedbackRow[]): Instant | undefined {
  const [first] = oldest;
  if (first === undefined || oldest.length >= limits.feedbackBatch) return first?.recordedAt;
  return plus(first.recordedAt, seconds(limits.feedbackBatchSeconds));
}

/** Turns the records that are due into one message of the feedback queue. */
async function formBatch(transaction: HubTransaction, hub: string, now: Instant): Promise<void> {
  const rows = await transaction.feedback.oldest(hub, limits.feedbackBatch);
  const dueAt = batchDueAt(rows);
  const last = rows.at(-1);
  if (last === undefined || dueAt === undefined || dueAt > now) return;
  await transaction.feedback.removeThrough(hub, last.recordNumber);
  await transaction.queues.append({
    queue: feedbackQueue(hub),
    generationId: '',
    message: {
      body: Buffer.from(JSON.stringify(rows.map(({ record }) => record))),
      systemProperties: { 'content-type': 'application/vnd.microsoft.iothub.feedback.json', 'user-id': hub },
      applicationProperties: {},
    },
    enqueuedAt: now,
    expiresAt: plus(now, seconds(limits.feedbackLifeSeconds)),
  });
}
