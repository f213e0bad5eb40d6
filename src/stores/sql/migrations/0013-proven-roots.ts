import type { Kysely, Migration } from 'kysely';

/** When a storage root key was last proven: what strangers ask for cannot push the newest of those out. */
export const provenRootsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('tpm_storage_root_key').addColumn('proven_at', 'bigint').execute();
  },
};
