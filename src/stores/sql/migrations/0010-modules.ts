import type { Kysely, Migration } from 'kysely';

/** Modules are identities beside their devices, found through them; devices learn to which edge device they belong. */
export const modulesMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('device').addColumn('module_of', 'text').execute();
    await db.schema.alterTable('device').addColumn('managed_by', 'text').execute();
    await db.schema.alterTable('device').addColumn('device_scope', 'text').execute();
    await db.schema.alterTable('device').addColumn('parent_scope', 'text').execute();
    await db.schema.createIndex('device_by_module_of').on('device').columns(['hub_key', 'module_of']).execute();
    await db.schema.createIndex('device_by_scope').on('device').columns(['hub_key', 'device_scope']).execute();
  },
};
