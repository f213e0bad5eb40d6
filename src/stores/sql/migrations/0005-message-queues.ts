import type { Kysely, Migration } from 'kysely';

import type { SqlColumnTypes } from '../dialects/sql-dialect.ts';

/** Messages to devices and feedback to services with the counters that number them, and what devices subscribed to. */
export function messageQueuesMigration(types: SqlColumnTypes): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await createQueues(db, types);
      await createCounters(db);
      await createFeedback(db);
      await createSubscriptions(db);
    },
  };
}

async function createQueues(db: Kysely<unknown>, types: SqlColumnTypes): Promise<void> {
  await db.schema
    .createTable('queued_message')
    .addColumn('hub_key', 'text', (column) => column.notNull())
    .addColumn('queue', 'text', (column) => column.notNull())
    .addColumn('sequence_number', 'bigint', (column) => column.notNull())
    .addColumn('hub', 'text', (column) => column.notNull())
    .addColumn('device_id', 'text')
    .addColumn('generation_id', 'text', (column) => column.notNull())
    .addColumn('body', types.bytes, (column) => column.notNull())
    .addColumn('system_properties', 'text', (column) => column.notNull())
    .addColumn('application_properties', 'text', (column) => column.notNull())
    .addColumn('enqueued_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('delivery_count', 'integer', (column) => column.notNull())
    .addColumn('lock_token', 'text')
    .addColumn('locked_until', 'bigint')
    .addColumn('lock_receiver', 'text')
    .addPrimaryKeyConstraint('queued_message_pk', ['hub_key', 'queue', 'sequence_number'])
    // A queue without a device has NULL here, which the constraint lets pass.
    .addForeignKeyConstraint('queued_message_device', ['hub_key', 'device_id'], 'device', ['hub_key', 'device_id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await db.schema.createIndex('queued_message_expiry').on('queued_message').columns(['expires_at']).execute();
  await db.schema.createIndex('queued_message_device_id').on('queued_message').columns(['hub_key', 'device_id']).execute();
}

/** Apart from the messages, so that a number is never given again when the last message of a queue is gone. */
async function createCounters(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('queue_counter')
    .addColumn('hub_key', 'text', (column) => column.notNull())
    .addColumn('queue', 'text', (column) => column.notNull())
    .addColumn('device_id', 'text')
    .addColumn('last_number', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('queue_counter_pk', ['hub_key', 'queue'])
    .addForeignKeyConstraint('queue_counter_device', ['hub_key', 'device_id'], 'device', ['hub_key', 'device_id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
  await db.schema.createIndex('queue_counter_device_id').on('queue_counter').columns(['hub_key', 'device_id']).execute();
}

async function createFeedback(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('feedback_record')
    .addColumn('hub_key', 'text', (column) => column.notNull())
    .addColumn('record_number', 'bigint', (column) => column.notNull())
    .addColumn('recorded_at', 'bigint', (column) => column.notNull())
    .addColumn('record', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('feedback_record_pk', ['hub_key', 'record_number'])
    .execute();
  await db.schema.createIndex('feedback_record_age').on('feedback_record').columns(['recorded_at']).execute();
}

async function createSubscriptions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('subscription')
    .addColumn('hub_key', 'text', (column) => column.notNull())
    .addColumn('device_id', 'text', (column) => column.notNull())
    .addColumn('filters', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('subscription_pk', ['hub_key', 'device_id'])
    .addForeignKeyConstraint('subscription_device', ['hub_key', 'device_id'], 'device', ['hub_key', 'device_id'], (key) =>
      key.onDelete('cascade'),
    )
    .execute();
}
