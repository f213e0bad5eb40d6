import { join } from 'node:path';

import Database from 'better-sqlite3';
import { type Migration, Migrator } from 'kysely';
import { expect, test } from 'vitest';

import { openSqlite, sqliteColumnTypes } from '../../src/stores/sql/dialects/sqlite.ts';
import { migrations } from '../../src/stores/sql/migrations/migrations.ts';
import { ecKey, make } from '../fixtures/pki/make-certificate.ts';
import { openForTest, temporaryFolder } from './open-sqlite.ts';

// A data folder of an older version, brought up to date by the first start of this one.

type Insert = (table: string, row: Readonly<Record<string, string | number | Buffer>>) => void;

/** A database as the version wrote it that knew the migrations up to `last`. */
async function databaseOf(last: string, fill: (insert: Insert) => void): Promise<string> {
  const path = join(temporaryFolder(), 'muster.db');
  const dialect = await openSqlite(path, () => Promise.resolve());
  const known: Readonly<Record<string, Migration>> = migrations(sqliteColumnTypes);
  const then = Object.fromEntries(Object.entries(known).filter(([name]) => name <= last));
  const migrator = new Migrator({ db: dialect.writer, provider: { getMigrations: () => Promise.resolve(then) } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  await dialect.close();
  const database = new Database(path);
  fill((table, row) => {
    const columns = Object.keys(row);
    database.prepare(`insert into ${table} (${columns.join()}) values (${columns.map((name) => `@${name}`).join()})`).run(row);
  });
  database.close();
  return path;
}

const instance = {
  name_key: 'dps',
  name: 'dps',
  host_name: 'dps.example.net',
  id_scope: '0ne00000A01',
  allocation_policy: 'hashed',
  created_at: 0,
  trust_version: 0,
};
const enrollment = {
  instance_key: 'dps',
  kind: 'individual',
  enrollment_key: 'deny',
  instance: 'dps',
  enrollment_id: 'deny',
  etag: 'e',
  attestation_type: 'x509',
  attestation_form: 'clientCertificates',
  provisioning_status: 'disabled',
  update_hub_assignment: 1,
  migrate_device_data: 1,
  iot_edge: 0,
  created_at: 0,
  updated_at: 0,
};

test('0007: enrollments of before are found by the signed part of their leaf', async () => {
  const { der, certificate } = make({ subject: 'dev-1', key: ecKey() });
  const owner = { instance_key: 'dps', kind: 'individual', enrollment_key: 'deny' };
  const path = await databaseOf('0001-initial', (insert) => {
    insert('provisioning_instance', instance);
    insert('enrollment', enrollment);
    insert('enrollment_certificate', { ...owner, slot: 'primary', form: 'clientCertificates', sha256: certificate.sha256, der });
  });
  const { store } = await openForTest(path);
  const [found] = await store.read.enrollments.byLeaf('dps', certificate.tbsSha256);
  expect(found).toMatchObject({ id: 'deny', provisioningStatus: 'disabled' });
  expect(found?.attestation).toMatchObject({ primary: { sha256: certificate.sha256, tbsSha256: certificate.tbsSha256 } });
});

test('0016: identities of before that a record names came from a registration, others did not', async () => {
  const hub = { name_key: 'east', name: 'East', host_name: 'East.example.net', created_at: 0 };
  const device = { hub_key: 'east', hub: 'East', generation_id: '1', status: 'enabled', authentication_type: 'none', etag_counter: 1 };
  const record = { instance_key: 'dps', instance: 'dps', etag: 'e', enrollment_kind: 'group', enrollment_key: 'g', enrollment_id: 'g' };
  const path = await databaseOf('0014-presence', (insert) => {
    insert('hub', hub);
    for (const device_id of ['Named', 'by-hand', 'elsewhere']) insert('device', { ...device, device_id, iot_edge: 0, created_at: 0 });
    for (const [id, assigned_hub] of [
      ['Named', 'east.example.net'],
      ['elsewhere', 'west.example.net'],
    ] as const) {
      const names = { registration_key: id.toLowerCase(), registration_id: id, device_id: id, assigned_hub };
      insert('registration', { ...record, ...names, status: 'assigned', created_at: 0, updated_at: 0 });
    }
  });
  const { store } = await openForTest(path);
  const { items } = await store.read.devices.list('east', { limit: 9 });
  expect(items.map(({ deviceId, provisioned }) => [deviceId, provisioned])).toEqual([
    ['Named', true],
    ['by-hand', undefined],
    ['elsewhere', undefined],
  ]);
});
