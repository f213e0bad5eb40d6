import type { Kysely, Migration } from 'kysely';

/** Verification codes end. Those of before count as ended: another one is generated in a moment. */
export const codeExpiryMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('ca_certificate').addColumn('verification_code_expires_at', 'bigint').execute();
  },
};
