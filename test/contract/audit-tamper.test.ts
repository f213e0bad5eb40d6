import { join } from 'node:path';

import SqliteDatabase from 'better-sqlite3';
import { describe, expect, test } from 'vitest';

import { createAuditKeys } from '../../src/audit/audit-keys.ts';
import { linkEntry } from '../../src/audit/chain.ts';
import { createAuditTrail } from '../../src/audit/trail.ts';
import { openSqlStore } from '../../src/stores/sql/store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';
import { temporaryFolder } from './open-sqlite.ts';
import { device, hubName } from './samples.ts';

const keys = createAuditKeys(Buffer.alloc(32, 7));

/** A trail of twelve entries in a file: a hub, its policy and ten devices. */
async function makeTrail(): Promise<string> {
  const path = join(temporaryFolder(), 'muster.db');
  const store = await openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock(), auditKeys: keys });
  await store.write(async (tx) => {
    await tx.hubs.insert({ name: hubName, hostName: 'hub.example.net', createdAt: new FakeClock().now() });
    await tx.hubs.putPolicy(hubName, { keyName: 'owner', primaryKey: 'c2VjcmV0', secondaryKey: 'c2VjcmV0', rights: [] });
  });
  for (let at = 3; at <= 12; at += 1) await store.write((tx) => tx.devices.insert(device(`device-${at}`)));
  await store.close();
  return path;
}

function tamper(path: string, ...statements: readonly string[]): void {
  const database = new SqliteDatabase(path);
  for (const statement of statements) database.prepare(statement).run();
  database.close();
}

async function verify(path: string, { hash, withKeys = keys }: { hash?: string; withKeys?: typeof keys } = {}) {
  const store = await openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock(), auditKeys: withKeys });
  try {
    return await createAuditTrail({ storage: store, keys: withKeys }).verify(hash === undefined ? undefined : { hash });
  } finally {
    await store.close();
  }
}

describe('somebody with the database in hand', () => {
  test('who leaves it alone is not accused', async () => {
    expect(await verify(await makeTrail())).toMatchObject({ ok: true, checked: 12, sealed: true, head: { sequence: 12 } });
  });

  test.each([
    'action',
    'actor_kind',
    'actor_name',
    'resource_kind',
    'resource_id',
    'scope',
    'after',
    'before',
    'reason',
    'ticket',
    'transport',
    'address',
    'user_agent',
  ])('who edits %s of an entry is found there', async (column) => {
    const path = await makeTrail();
    // The origin is one thing: without an address there is none.
    const rest = column === 'transport' || column === 'user_agent' ? ", address = '192.0.2.9', transport = 'https'" : '';
    const address = column === 'address' ? ", transport = 'https'" : '';
    tamper(
      path,
      `update audit_entry set ${column} = '{"x":1}'${column === 'transport' ? ", address = '192.0.2.9'" : rest}${address} where sequence = 5`,
    );
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 5, reason: 'changed', checked: 4 });
  });

  test.each([
    ['at', '1'],
    ['at', "'never'"],
    ['after', "'no json'"],
    ['hash', "'00'"],
  ])('who sets %s to %s is found there', async (column, value) => {
    const path = await makeTrail();
    tamper(path, `update audit_entry set ${column} = ${value} where sequence = 5`);
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 5, reason: 'changed' });
  });

  test('who removes an entry in the middle is found there', async () => {
    const path = await makeTrail();
    tamper(path, 'delete from audit_entry where sequence = 7');
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 7, reason: 'missing' });
  });

  test('who closes the gap again is found there', async () => {
    const path = await makeTrail();
    tamper(path, 'delete from audit_entry where sequence = 7', 'update audit_entry set sequence = sequence - 1 where sequence > 7');
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 7, reason: 'unlinked' });
  });

  test('who removes the last one is found at it', async () => {
    const path = await makeTrail();
    tamper(path, 'delete from audit_entry where sequence = 12');
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 12, reason: 'truncated' });
  });

  test('who swaps two entries is found at the first of them', async () => {
    const path = await makeTrail();
    tamper(
      path,
      'update audit_entry set sequence = 99 where sequence = 6',
      'update audit_entry set sequence = 6 where sequence = 8',
      'update audit_entry set sequence = 8 where sequence = 99',
    );
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 6, reason: 'unlinked' });
  });

  test('who adds an entry of a good hash is found at it', async () => {
    const path = await makeTrail();
    const head = await headOf(path);
    const entry = linkEntry(
      { at: new Date(0).toISOString(), actor: { kind: 'system', name: 'system' }, action: 'x.y', resource: { kind: 'x', id: 'y' } },
      head,
    );
    tamper(
      path,
      `insert into audit_entry (sequence, at, actor_kind, actor_key, actor_name, action, resource_kind, resource_key, resource_id, previous_hash, hash)
       values (13, 0, 'system', 'system', 'system', 'x.y', 'x', 'y', 'y', '${entry.previousHash}', '${entry.hash}')`,
    );
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 13, reason: 'head' });
  });

  test('who cuts the end off and moves the head back lacks the key for its seal', async () => {
    const path = await makeTrail();
    tamper(
      path,
      'delete from audit_entry where sequence > 9',
      'update audit_head set sequence = 9, hash = (select hash from audit_entry where sequence = 9)',
    );
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 9, reason: 'seal' });
  });

  test('who has the key as well, and puts an older database back, is found by a head that was kept elsewhere', async () => {
    const path = await makeTrail();
    const { hash } = await headOf(path);
    const nine = await hashAt(path, 9);
    const seal = keys.seal({ sequence: 9, hash: nine });
    tamper(path, 'delete from audit_entry where sequence > 9', `update audit_head set sequence = 9, hash = '${nine}', seal = '${seal}'`);
    expect(await verify(path)).toMatchObject({ ok: true, checked: 9 });
    expect(await verify(path, { hash })).toMatchObject({ ok: false, reason: 'exported-head', sequence: 9 });
    expect(await verify(path, { hash: nine })).toMatchObject({ ok: true });
  });

  test('who cuts the beginning off and calls it retention has no entry that tells of it', async () => {
    const path = await makeTrail();
    tamper(
      path,
      'insert into audit_checkpoint (id, sequence, hash) select 1, sequence, hash from audit_entry where sequence = 4',
      'delete from audit_entry where sequence <= 4',
    );
    expect(await verify(path)).toMatchObject({ ok: false, sequence: 5, reason: 'checkpoint' });
  });

  test('the key of another installation makes no seal of this one', async () => {
    const path = await makeTrail();
    expect(await verify(path, { withKeys: createAuditKeys(Buffer.alloc(32, 8)) })).toMatchObject({ ok: false, reason: 'seal' });
  });

  test('no secret is in the trail, and a changed one can be told from the one before', async () => {
    const path = await makeTrail();
    const database = new SqliteDatabase(path);
    const rows = database.prepare('select "after" as shown from audit_entry where resource_kind = \'hub-policy\'').all() as {
      shown: string;
    }[];
    database.close();
    expect(rows).toHaveLength(1);
    expect(rows[0]?.shown).not.toContain('c2VjcmV0');
    expect(JSON.parse(rows[0]?.shown ?? '{}')).toMatchObject({ primaryKey: keys.fingerprint('c2VjcmV0') });
    expect(keys.fingerprint('c2VjcmV1')).not.toBe(keys.fingerprint('c2VjcmV0'));
  });
});

async function headOf(path: string) {
  const store = await openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock(), auditKeys: keys });
  const { sequence, hash } = await store.read.audit.head();
  await store.close();
  return { sequence, hash };
}

async function hashAt(path: string, sequence: number): Promise<string> {
  const store = await openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock(), auditKeys: keys });
  const entry = await store.read.audit.get(sequence);
  await store.close();
  return entry?.hash ?? '';
}
