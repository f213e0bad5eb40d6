import type { Kysely, Migration } from 'kysely';

import { create, required } from './table.ts';

/** Events in their order, how far they were delivered, and the attempts of devices that are shut out. */
export const eventsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await required(required(create(db, 'event'), 'bigint', ['sequence', 'at']), 'text', ['kind', 'data'])
      .addPrimaryKeyConstraint('event_pk', ['sequence'])
      .execute();
    await db.schema.createIndex('event_age').on('event').columns(['at', 'sequence']).execute();
    await required(required(create(db, 'event_state'), 'integer', ['id']), 'bigint', ['last_sequence', 'delivered_sequence'])
      .addPrimaryKeyConstraint('event_state_pk', ['id'])
      .execute();
    const texts = ['device_key', 'device', 'deny_kind', 'deny_id', 'doors', 'addresses', 'tracking_id'];
    await required(required(create(db, 'tripwire'), 'text', texts), 'bigint', ['first_at', 'last_at', 'attempts', 'proven'])
      .addPrimaryKeyConstraint('tripwire_pk', ['device_key'])
      .execute();
    await db.schema.createIndex('tripwire_last').on('tripwire').columns(['last_at', 'device_key']).execute();
  },
};
