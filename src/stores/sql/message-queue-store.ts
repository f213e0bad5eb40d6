import type { MessageQueueStore, QueuedMessageRow, QueueId } from '../../hub/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import { prepare } from './prepared.ts';
import { nextNumber } from './queue-counter.ts';
import type { QueuedMessageTable, SqlExecutor } from './schema.ts';

const messageColumns = [
  'hub_key',
  'queue',
  'sequence_number',
  'hub',
  'device_id',
  'generation_id',
  'body',
  'system_properties',
  'application_properties',
  'enqueued_at',
  'expires_at',
  'delivery_count',
  'lock_token',
  'locked_until',
  'lock_receiver',
] as const satisfies readonly (keyof QueuedMessageTable)[];

const unlocked = { lock_token: null, locked_until: null, lock_receiver: null };

const countByQueue = prepare((db, at: { readonly hubKey: string; readonly queues: readonly string[] }) =>
  db
    .selectFrom('queued_message')
    .where('hub_key', '=', at.hubKey)
    .where('queue', 'in', at.queues)
    .groupBy('queue')
    .select((eb) => ['queue', eb.fn.countAll<number>().as('waiting')]),
);

export function createSqlMessageQueueStore(db: SqlExecutor): MessageQueueStore {
  return { ...countQueues(db), ...readQueues(db), ...writeQueues(db) };
}

const messagesOf = (db: SqlExecutor, { hub, name }: QueueId) =>
  db.selectFrom('queued_message').where('hub_key', '=', keyOf(hub)).where('queue', '=', name);

function countQueues(db: SqlExecutor): Pick<MessageQueueStore, 'count' | 'counts'> {
  return {
    async count(queue) {
      const { waiting } = await messagesOf(db, queue)
        .select((eb) => eb.fn.countAll<number>().as('waiting'))
        .executeTakeFirstOrThrow();
      return waiting;
    },
    async counts(hub, names) {
      if (names.length === 0) return new Map();
      const { rows } = await countByQueue(db, { hubKey: keyOf(hub), queues: names });
      return new Map(rows.map(({ queue, waiting }) => [queue, waiting]));
    },
  };
}

function readQueues(db: SqlExecutor): Pick<MessageQueueStore, 'free' | 'list' | 'nextUnlock' | 'locked' | 'expired'> {
  return {
    async free(queue, { now, limit }) {
      const rows = await messagesOf(db, queue)
        .select(messageColumns)
        .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', now)]))
        .orderBy('sequence_number')
        .limit(limit)
        .execute();
      return rows.map(messageFrom);
    },
    async list(queue, limit) {
      const rows = await messagesOf(db, queue).select(messageColumns).orderBy('sequence_number').limit(limit).execute();
      return rows.map(messageFrom);
    },
    async nextUnlock(queue, now) {
      const { first } = await messagesOf(db, queue)
        .where('locked_until', '>', now)
        .select((eb) => eb.fn.min('locked_until').as('first'))
        .executeTakeFirstOrThrow();
      return first ?? undefined;
    },
    async locked(queue, token) {
      const row = await messagesOf(db, queue).select(messageColumns).where('lock_token', '=', token).executeTakeFirst();
      return row && messageFrom(row);
    },
    async expired({ now, limit }) {
      const rows = await db
        .selectFrom('queued_message')
        .select(messageColumns)
        .where('expires_at', '<=', now)
        .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', now)]))
        .orderBy('expires_at')
        .limit(limit)
        .execute();
      return rows.map(messageFrom);
    },
  };
}

function writeQueues(db: SqlExecutor): Pick<MessageQueueStore, 'append' | 'mark' | 'release' | 'remove'> {
  return {
    async append(message) {
      const { hub, name, deviceId = null } = message.queue;
      const sequenceNumber = await nextNumber(db, { hubKey: keyOf(hub), queue: name, deviceId });
      await db
        .insertInto('queued_message')
        .values({
          hub_key: keyOf(hub),
          queue: name,
          sequence_number: sequenceNumber,
          hub,
          device_id: deviceId,
          generation_id: message.generationId,
          body: message.message.body,
          system_properties: jsonText(message.message.systemProperties),
          application_properties: jsonText(message.message.applicationProperties),
          enqueued_at: message.enqueuedAt,
          expires_at: message.expiresAt,
          delivery_count: 0,
          ...unlocked,
        })
        .execute();
      return sequenceNumber;
    },
    async mark({ queue, sequenceNumber }, { deliveryCount, lock }) {
      const columns =
        lock === undefined ? unlocked : { lock_token: lock.token, locked_until: lock.until, lock_receiver: lock.receiver ?? null };
      await db
        .updateTable('queued_message')
        .set({ delivery_count: deliveryCount, ...columns })
        .where('hub_key', '=', keyOf(queue.hub))
        .where('queue', '=', queue.name)
        .where('sequence_number', '=', sequenceNumber)
        .execute();
    },
    async release(queue, receiver) {
      const { numUpdatedRows } = await db
        .updateTable('queued_message')
        .set(unlocked)
        .where('hub_key', '=', keyOf(queue.hub))
        .where('queue', '=', queue.name)
        .where((eb) => (receiver === undefined ? eb('lock_receiver', 'is not', null) : eb('lock_receiver', '=', receiver)))
        .executeTakeFirstOrThrow();
      return Number(numUpdatedRows);
    },
    async remove({ queue, sequenceNumber }) {
      await db
        .deleteFrom('queued_message')
        .where('hub_key', '=', keyOf(queue.hub))
        .where('queue', '=', queue.name)
        .where('sequence_number', '=', sequenceNumber)
        .execute();
    },
  };
}

function messageFrom(row: QueuedMessageTable): QueuedMessageRow {
  const { lock_token: token, locked_until: until, lock_receiver: receiver } = row;
  return {
    queue: { hub: row.hub, name: row.queue, ...(row.device_id !== null && { deviceId: row.device_id }) },
    sequenceNumber: row.sequence_number,
    generationId: row.generation_id,
    message: {
      body: row.body,
      systemProperties: parseJson(row.system_properties),
      applicationProperties: parseJson(row.application_properties),
    },
    enqueuedAt: row.enqueued_at,
    expiresAt: row.expires_at,
    deliveryCount: row.delivery_count,
    ...(token !== null && until !== null && { lock: { token, until, ...(receiver !== null && { receiver }) } }),
  };
}
