import type { Kysely, Migration } from 'kysely';

import { create, optional, required } from './table.ts';

/**
 * Blocks, receipts and runs; what devices presented last; the hub's refusals. And indexes by which a device is found from
 * its thumbprint, its device id or the operation that it polls.
 */
export function fleetMigration(): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await createBlocks(db);
      await createReceipts(db);
      await createRuns(db);
      await createPresentedCertificates(db);
      await createHubDecisions(db);
      await createLookups(db);
    },
  };
}

async function createBlocks(db: Kysely<unknown>): Promise<void> {
  let block = required(create(db, 'block'), 'text', ['block_id', 'reason', 'created_by']);
  block = required(block, 'bigint', ['created_at']);
  block = optional(block, 'text', ['ticket', 'receipt_id']);
  await optional(block, 'bigint', ['expires_at', 'readmit_until', 'readmitted_at'])
    .addPrimaryKeyConstraint('block_pk', ['block_id'])
    .execute();
  // The selector's key leads: admission asks with the keys of whoever is at the door.
  await required(required(create(db, 'block_selector'), 'text', ['selector_key', 'block_id', 'kind', 'value']), 'integer', ['ordinal'])
    .addPrimaryKeyConstraint('block_selector_pk', ['selector_key', 'block_id'])
    .addForeignKeyConstraint('block_selector_block', ['block_id'], 'block', ['block_id'], (key) => key.onDelete('cascade'))
    .execute();
  await db.schema.createIndex('block_selector_of').on('block_selector').columns(['block_id', 'ordinal']).execute();
}

async function createReceipts(db: Kysely<unknown>): Promise<void> {
  let receipt = required(create(db, 'receipt'), 'text', ['receipt_id', 'kind', 'device', 'device_key', 'created_by', 'body']);
  receipt = optional(required(receipt, 'bigint', ['created_at']), 'text', ['undo', 'undone_by']);
  await receipt.addPrimaryKeyConstraint('receipt_pk', ['receipt_id']).execute();
  await db.schema.createIndex('receipt_device').on('receipt').columns(['device_key', 'receipt_id']).execute();
}

async function createRuns(db: Kysely<unknown>): Promise<void> {
  const run = required(required(create(db, 'fleet_run'), 'text', ['run_id', 'kind', 'request', 'created_by']), 'bigint', ['created_at']);
  await optional(run, 'bigint', ['finished_at']).addPrimaryKeyConstraint('fleet_run_pk', ['run_id']).execute();
  const item = required(required(create(db, 'fleet_run_item'), 'text', ['run_id', 'target', 'state']), 'integer', ['ordinal']);
  await optional(item, 'text', ['receipt_id', 'message'])
    .addPrimaryKeyConstraint('fleet_run_item_pk', ['run_id', 'ordinal'])
    .addForeignKeyConstraint('fleet_run_item_run', ['run_id'], 'fleet_run', ['run_id'], (key) => key.onDelete('cascade'))
    .execute();
  await db.schema.createIndex('fleet_run_item_state').on('fleet_run_item').columns(['run_id', 'state', 'ordinal']).execute();
}

async function createPresentedCertificates(db: Kysely<unknown>): Promise<void> {
  const owner = ['instance_key', 'registration_key'] as const;
  await required(create(db, 'presented_certificate'), 'text', [...owner, 'leaf_sha256', 'public_key_sha256', 'certificates'])
    .addPrimaryKeyConstraint('presented_certificate_pk', [...owner])
    .addForeignKeyConstraint('presented_certificate_registration', [...owner], 'registration', [...owner], (key) => key.onDelete('cascade'))
    .execute();
  await db.schema.createIndex('presented_certificate_key').on('presented_certificate').columns(['public_key_sha256']).execute();
}

async function createHubDecisions(db: Kysely<unknown>): Promise<void> {
  const decision = required(create(db, 'hub_decision'), 'text', ['tracking_id', 'hub', 'device_id', 'transport', 'error', 'trace']);
  await required(decision, 'bigint', ['decided_at']).addPrimaryKeyConstraint('hub_decision_pk', ['tracking_id']).execute();
  await db.schema.createIndex('hub_decision_age').on('hub_decision').columns(['decided_at', 'tracking_id']).execute();
}

async function createLookups(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('registration_leaf').on('registration').columns(['leaf_sha256']).execute();
  await db.schema.createIndex('registration_device').on('registration').columns(['device_id']).execute();
  await db.schema.createIndex('device_primary_thumbprint').on('device').columns(['primary_thumbprint']).execute();
  await db.schema.createIndex('device_secondary_thumbprint').on('device').columns(['secondary_thumbprint']).execute();
}
