import type { Kysely, Migration } from 'kysely';

import { create, optional, required } from './table.ts';

/**
 * When identities were seen last. Beside them and not in their rows, which have indexes and an etag: this is written often,
 * and says nothing about who may come in.
 */
export const presenceMigration: Migration = {
  async up(db: Kysely<unknown>) {
    const presence = required(create(db, 'presence'), 'text', ['hub_key', 'device_id']);
    await optional(required(presence, 'integer', ['connected']), 'bigint', ['connection_changed_at', 'active_at'])
      .addPrimaryKeyConstraint('presence_pk', ['hub_key', 'device_id'])
      .addForeignKeyConstraint('presence_device', ['hub_key', 'device_id'], 'device', ['hub_key', 'device_id'], (key) =>
        key.onDelete('cascade'),
      )
      .execute();
    await db.schema.createIndex('presence_connected').on('presence').columns(['connected']).execute();
  },
};
