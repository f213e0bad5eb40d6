import { sql, type Kysely, type Migration } from 'kysely';

import type { SqlColumnTypes } from '../dialects/sql-dialect.ts';
import { create, optional, required } from './table.ts';

/**
 * The first schema: both domains in one database, so that a registration and its identity commit together. Every
 * table keeps its hidden row id: clustering half-kilobyte rows under random keys splits pages on every insert.
 */
export function initialMigration(types: SqlColumnTypes): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await createState(db);
      await createInstances(db);
      await createEnrollments(db, types);
      await createRegistrations(db);
      await createCaCertificates(db, types);
      await createHubs(db);
      await createDevices(db);
      await createTelemetry(db, types);
    },
  };
}

async function createState(db: Kysely<unknown>): Promise<void> {
  const state = create(db, 'store_state').addColumn('id', 'integer', (column) => column.primaryKey());
  await required(required(state, 'integer', ['clean_shutdown']), 'bigint', ['changed_at']).execute();
}

async function createInstances(db: Kysely<unknown>): Promise<void> {
  const instance = required(create(db, 'provisioning_instance'), 'text', [
    'name_key',
    'name',
    'host_name',
    'id_scope',
    'allocation_policy',
  ]);
  await required(instance, 'bigint', ['created_at', 'trust_version'])
    .addPrimaryKeyConstraint('provisioning_instance_pk', ['name_key'])
    .addUniqueConstraint('provisioning_instance_id_scope', ['id_scope'])
    .execute();
  await required(create(db, 'provisioning_policy'), 'text', ['instance_key', 'key_name', 'primary_key', 'secondary_key', 'rights'])
    .addPrimaryKeyConstraint('provisioning_policy_pk', ['instance_key', 'key_name'])
    .addForeignKeyConstraint('provisioning_policy_instance', ['instance_key'], 'provisioning_instance', ['name_key'])
    .execute();
  const linkedHub = required(create(db, 'linked_hub'), 'text', ['instance_key', 'host_key', 'instance', 'host_name', 'location']);
  await required(linkedHub, 'integer', ['apply_allocation_policy', 'allocation_weight'])
    .addPrimaryKeyConstraint('linked_hub_pk', ['instance_key', 'host_key'])
    .addForeignKeyConstraint('linked_hub_instance', ['instance_key'], 'provisioning_instance', ['name_key'])
    .execute();
}

async function createEnrollments(db: Kysely<unknown>, types: SqlColumnTypes): Promise<void> {
  const texts = ['instance_key', 'kind', 'enrollment_key', 'instance', 'enrollment_id', 'etag', 'attestation_type', 'provisioning_status'];
  const keys = ['symmetric_primary_key', 'symmetric_secondary_key', 'tpm_endorsement_key', 'tpm_storage_root_key'];
  const allocation = ['allocation_policy', 'iot_hubs', 'iot_hub_host_name', 'webhook_url', 'webhook_api_version'];
  const device = ['initial_twin', 'device_id', 'optional_device_information'];
  let enrollment = required(create(db, 'enrollment'), 'text', texts);
  enrollment = optional(enrollment, 'text', ['attestation_form', ...keys, ...allocation, ...device]);
  enrollment = required(enrollment, 'integer', ['update_hub_assignment', 'migrate_device_data', 'iot_edge']);
  await required(enrollment, 'bigint', ['created_at', 'updated_at'])
    .addPrimaryKeyConstraint('enrollment_pk', ['instance_key', 'kind', 'enrollment_key'])
    .addForeignKeyConstraint('enrollment_instance', ['instance_key'], 'provisioning_instance', ['name_key'])
    .execute();
  await createEnrollmentCertificates(db, types);
}

async function createEnrollmentCertificates(db: Kysely<unknown>, types: SqlColumnTypes): Promise<void> {
  const owner = ['instance_key', 'kind', 'enrollment_key'] as const;
  const slot = required(create(db, 'enrollment_certificate'), 'text', [...owner, 'slot', 'form']);
  await optional(slot, 'text', ['sha256', 'ca_key', 'ca_name'])
    .addColumn('der', types.bytes)
    .addPrimaryKeyConstraint('enrollment_certificate_pk', [...owner, 'slot'])
    .addForeignKeyConstraint('enrollment_certificate_enrollment', [...owner], 'enrollment', [...owner], (key) => key.onDelete('cascade'))
    .execute();
  await db.schema
    .createIndex('enrollment_certificate_sha256')
    .on('enrollment_certificate')
    .columns(['instance_key', 'kind', 'form', 'sha256'])
    .execute();
  await db.schema
    .createIndex('enrollment_certificate_ca')
    .on('enrollment_certificate')
    .columns(['instance_key', 'kind', 'ca_key'])
    .execute();
}

async function createRegistrations(db: Kysely<unknown>): Promise<void> {
  const ids = ['instance_key', 'registration_key', 'instance', 'registration_id', 'etag'];
  let registration = required(create(db, 'registration'), 'text', [...ids, 'enrollment_kind', 'enrollment_key', 'enrollment_id', 'status']);
  registration = optional(registration, 'text', ['substatus', 'assigned_hub', 'device_id', 'error_message', 'payload', 'leaf_sha256']);
  registration = optional(registration, 'integer', ['error_code']);
  await required(registration, 'bigint', ['created_at', 'updated_at'])
    .addPrimaryKeyConstraint('registration_pk', ['instance_key', 'registration_key'])
    .execute();
  await db.schema
    .createIndex('registration_enrollment')
    .on('registration')
    .columns(['instance_key', 'enrollment_kind', 'enrollment_key', 'registration_key'])
    .execute();
  await createOperations(db);
}

async function createOperations(db: Kysely<unknown>): Promise<void> {
  let operation = required(create(db, 'registration_operation'), 'text', ['instance_key', 'operation_id', 'instance', 'registration_id']);
  operation = required(operation, 'bigint', ['created_at']);
  await optional(operation, 'text', ['outcome'])
    .addPrimaryKeyConstraint('registration_operation_pk', ['instance_key', 'operation_id'])
    .execute();
  await db.schema
    .createIndex('registration_operation_unfinished')
    .on('registration_operation')
    .columns(['created_at'])
    .where(sql.ref('outcome'), 'is', null)
    .execute();
  await db.schema.createIndex('registration_operation_age').on('registration_operation').columns(['created_at']).execute();
  const decision = required(create(db, 'decision'), 'text', [
    'tracking_id',
    'instance',
    'registration_id',
    'transport',
    'verdict',
    'trace',
  ]);
  await required(decision, 'bigint', ['decided_at']).addPrimaryKeyConstraint('decision_pk', ['tracking_id']).execute();
  await db.schema.createIndex('decision_age').on('decision').columns(['decided_at', 'tracking_id']).execute();
}

async function createCaCertificates(db: Kysely<unknown>, types: SqlColumnTypes): Promise<void> {
  let certificate = required(create(db, 'ca_certificate'), 'text', ['instance_key', 'name_key', 'instance', 'name', 'etag', 'sha256']);
  certificate = certificate.addColumn('der', types.bytes, (column) => column.notNull());
  certificate = optional(required(certificate, 'integer', ['is_verified']), 'text', ['verification_code']);
  await required(certificate, 'bigint', ['created_at', 'updated_at'])
    .addPrimaryKeyConstraint('ca_certificate_pk', ['instance_key', 'name_key'])
    .addForeignKeyConstraint('ca_certificate_instance', ['instance_key'], 'provisioning_instance', ['name_key'])
    .execute();
}

async function createHubs(db: Kysely<unknown>): Promise<void> {
  await required(required(create(db, 'hub'), 'text', ['name_key', 'name', 'host_name']), 'bigint', ['created_at'])
    .addPrimaryKeyConstraint('hub_pk', ['name_key'])
    .execute();
  await required(create(db, 'hub_policy'), 'text', ['hub_key', 'key_name', 'primary_key', 'secondary_key', 'rights'])
    .addPrimaryKeyConstraint('hub_policy_pk', ['hub_key', 'key_name'])
    .addForeignKeyConstraint('hub_policy_hub', ['hub_key'], 'hub', ['name_key'])
    .execute();
}

async function createDevices(db: Kysely<unknown>): Promise<void> {
  const credentials = ['primary_key', 'secondary_key', 'primary_thumbprint', 'secondary_thumbprint'];
  let device = required(create(db, 'device'), 'text', ['hub_key', 'device_id', 'hub', 'generation_id', 'status', 'authentication_type']);
  device = optional(device, 'text', ['status_reason', ...credentials]);
  device = required(optional(device, 'bigint', ['status_updated_at']), 'integer', ['etag_counter', 'iot_edge']);
  await required(device, 'bigint', ['created_at'])
    .addPrimaryKeyConstraint('device_pk', ['hub_key', 'device_id'])
    .addForeignKeyConstraint('device_hub', ['hub_key'], 'hub', ['name_key'])
    .execute();
  const sections = ['desired_properties', 'desired_metadata', 'reported_properties', 'reported_metadata'];
  const twin = required(create(db, 'twin'), 'text', ['hub_key', 'device_id', 'hub', 'tags', ...sections]);
  await optional(required(twin, 'bigint', ['etag_counter', 'version', 'desired_version', 'reported_version']), 'text', ['model_id'])
    .addPrimaryKeyConstraint('twin_pk', ['hub_key', 'device_id'])
    .addForeignKeyConstraint('twin_device', ['hub_key', 'device_id'], 'device', ['hub_key', 'device_id'], (key) => key.onDelete('cascade'))
    .execute();
}

async function createTelemetry(db: Kysely<unknown>, types: SqlColumnTypes): Promise<void> {
  const texts = ['hub_key', 'hub', 'device_id', 'generation_id', 'source', 'auth_method', 'system_properties', 'application_properties'];
  await required(required(create(db, 'telemetry'), 'text', texts), 'bigint', ['sequence_number', 'enqueued_at'])
    .addColumn('body', types.bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('telemetry_pk', ['hub_key', 'sequence_number'])
    .execute();
  await db.schema.createIndex('telemetry_device').on('telemetry').columns(['hub_key', 'device_id', 'sequence_number']).execute();
  await required(required(create(db, 'telemetry_counter'), 'text', ['hub_key']), 'bigint', ['last_sequence'])
    .addPrimaryKeyConstraint('telemetry_counter_pk', ['hub_key'])
    .execute();
}
