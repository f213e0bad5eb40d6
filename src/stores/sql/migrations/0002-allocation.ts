import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Operations that wait for a webhook keep what their device asked, so that a restart goes on with them, and decisions are
 * found by the operation that they began.
 */
export const allocationMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const column of ['registration_key', 'tracking_id', 'request']) {
      await db.schema.alterTable('registration_operation').addColumn(column, 'text').execute();
    }
    await db.schema
      .createIndex('registration_operation_running')
      .on('registration_operation')
      .columns(['instance_key', 'registration_key'])
      .where(sql.ref('outcome'), 'is', null)
      .execute();
    await db.schema.alterTable('decision').addColumn('operation_id', 'text').execute();
    await db.schema.createIndex('decision_operation').on('decision').columns(['operation_id']).execute();
  },
};
