import type { Migration } from 'kysely';

import type { SqlColumnTypes } from '../dialects/sql-dialect.ts';

/** What provisioning a TPM needs: a secret per instance, storage root keys that were shown, and the key that a record answers with. */
export function tpmMigration(types: SqlColumnTypes): Migration {
  return {
    async up(db) {
      await db.schema.alterTable('registration').addColumn('tpm_authentication_key', 'text').execute();
      await db.schema
        .createTable('tpm_secret')
        .addColumn('instance_key', 'text', (column) => column.notNull())
        .addColumn('secret', types.bytes, (column) => column.notNull())
        .addPrimaryKeyConstraint('tpm_secret_pk', ['instance_key'])
        .addForeignKeyConstraint('tpm_secret_instance', ['instance_key'], 'provisioning_instance', ['name_key'])
        .execute();
      await db.schema
        .createTable('tpm_storage_root_key')
        .addColumn('instance_key', 'text', (column) => column.notNull())
        .addColumn('registration_key', 'text', (column) => column.notNull())
        .addColumn('storage_root_key', types.bytes, (column) => column.notNull())
        .addColumn('seen_at', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('tpm_storage_root_key_pk', ['instance_key', 'registration_key', 'storage_root_key'])
        .execute();
      await db.schema.createIndex('tpm_storage_root_key_age').on('tpm_storage_root_key').columns(['seen_at']).execute();
    },
  };
}
