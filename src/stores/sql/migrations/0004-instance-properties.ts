import type { Kysely, Migration } from 'kysely';

/** What operators change about an instance: its IP filter, and the entity tag that keeps two of them apart. */
export function instancePropertiesMigration(): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('provisioning_instance')
        .addColumn('etag', 'text', (column) => column.notNull().defaultTo('0'))
        .execute();
      await db.schema
        .alterTable('provisioning_instance')
        .addColumn('ip_filter_rules', 'text', (column) => column.notNull().defaultTo('[]'))
        .execute();
    },
  };
}
