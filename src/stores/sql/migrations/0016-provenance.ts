import { type Kysely, type Migration, sql } from 'kysely';

/**
 * Which identities came from a registration: without this mark one that lost its record looks like one that an operator made
 * by hand. Of those that are there already it is known of the ones that a record names.
 */
export const provenanceMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('device')
      .addColumn('provisioned', 'integer', (column) => column.notNull().defaultTo(0))
      .execute();
    await sql`
      update device set provisioned = 1
      where module_of is null and exists (
        select 1 from registration
        join hub on hub.name_key = device.hub_key and lower(hub.host_name) = lower(registration.assigned_hub)
        where registration.device_id = device.device_id
      )
    `.execute(db);
  },
};
