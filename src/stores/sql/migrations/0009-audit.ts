import type { Kysely, Migration } from 'kysely';

import { create, optional, required } from './table.ts';

/** The audit trail, operators' tokens, refusals in their order, and that the end of a block was told of. */
export const auditMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await createAuditTrail(db);
    await createOperatorTokens(db);
    await createRefusals(db);
    await db.schema.alterTable('block').addColumn('expiry_noted_at', 'bigint').execute();
    await db.schema.createIndex('block_expiry').on('block').columns(['expires_at']).execute();
  },
};

async function createAuditTrail(db: Kysely<unknown>): Promise<void> {
  const texts = [
    'actor_kind',
    'actor_key',
    'actor_name',
    'action',
    'resource_kind',
    'resource_key',
    'resource_id',
    'previous_hash',
    'hash',
  ];
  const entry = required(required(create(db, 'audit_entry'), 'bigint', ['sequence', 'at']), 'text', texts);
  const more = ['transport', 'address', 'user_agent', 'scope_key', 'scope', 'before', 'after', 'reason', 'ticket'];
  await optional(entry, 'text', more).addPrimaryKeyConstraint('audit_entry_pk', ['sequence']).execute();
  await db.schema.createIndex('audit_entry_resource').on('audit_entry').columns(['resource_key', 'sequence']).execute();
  await db.schema.createIndex('audit_entry_actor').on('audit_entry').columns(['actor_key', 'sequence']).execute();
  await db.schema.createIndex('audit_entry_action').on('audit_entry').columns(['action', 'sequence']).execute();
  await db.schema.createIndex('audit_entry_age').on('audit_entry').columns(['at', 'sequence']).execute();
  // One row each: where the chain ends, and where it begins since retention removed something.
  const head = required(required(create(db, 'audit_head'), 'integer', ['id']), 'bigint', ['sequence']);
  await optional(required(head, 'text', ['hash']), 'text', ['seal'])
    .addPrimaryKeyConstraint('audit_head_pk', ['id'])
    .execute();
  await required(required(required(create(db, 'audit_checkpoint'), 'integer', ['id']), 'bigint', ['sequence']), 'text', ['hash'])
    .addPrimaryKeyConstraint('audit_checkpoint_pk', ['id'])
    .execute();
}

async function createOperatorTokens(db: Kysely<unknown>): Promise<void> {
  const token = required(create(db, 'operator_token'), 'text', ['token_id', 'name_key', 'name', 'role', 'secret_sha256', 'created_by']);
  await optional(required(token, 'bigint', ['created_at']), 'bigint', ['expires_at', 'revoked_at'])
    .addPrimaryKeyConstraint('operator_token_pk', ['token_id'])
    .execute();
  await db.schema.createIndex('operator_token_name').on('operator_token').columns(['name_key']).execute();
}

async function createRefusals(db: Kysely<unknown>): Promise<void> {
  const texts = ['side', 'place', 'device_key', 'device_id', 'transport', 'address', 'tracking_id', 'error', 'reason', 'sentence'];
  await required(required(create(db, 'refusal'), 'bigint', ['sequence', 'at']), 'text', texts)
    .addPrimaryKeyConstraint('refusal_pk', ['sequence'])
    .execute();
  await db.schema.createIndex('refusal_device').on('refusal').columns(['device_key', 'sequence']).execute();
  await db.schema.createIndex('refusal_age').on('refusal').columns(['at', 'sequence']).execute();
  // Sequence numbers are never given out again, not even when every row was forgotten.
  await required(required(create(db, 'refusal_counter'), 'integer', ['id']), 'bigint', ['last_sequence'])
    .addPrimaryKeyConstraint('refusal_counter_pk', ['id'])
    .execute();
}
