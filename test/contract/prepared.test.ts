import { expect, test } from 'vitest';

import { createSqliteExecutor } from '../../src/stores/sql/dialects/sqlite-driver.ts';
import { prepare } from '../../src/stores/sql/prepared.ts';
import { guarded } from '../../src/stores/sql/query-guard.ts';
import type { HubTable } from '../../src/stores/sql/schema.ts';
import SqliteDatabase from 'better-sqlite3';

const hub = (name: string, hostName = name): HubTable => ({ name_key: name, name, host_name: hostName, created_at: 0 as never });
const insert = prepare((db, { rows }: { readonly rows: readonly HubTable[] }) => db.insertInto('hub').values(rows));
const select = prepare((db, at: { readonly names: readonly string[]; readonly host?: string | undefined }) => {
  const query = db.selectFrom('hub').select('name').where('name_key', 'in', at.names).orderBy('name');
  return at.host === undefined ? query : query.where('host_name', '=', at.host);
});

function open() {
  const database = new SqliteDatabase(':memory:');
  database.exec('create table hub (name_key text, name text, host_name text, created_at integer)');
  return createSqliteExecutor(database);
}

const names = async (...given: Parameters<typeof select>): Promise<readonly string[]> =>
  (await select(...given)).rows.map(({ name }) => name);

test('values, lists of any length and absent members each find their own statement', async () => {
  const db = open();
  expect((await insert(db, { rows: [hub('a'), hub('b', "x'; drop table hub --")] })).numAffectedRows).toBe(2n);
  expect((await insert(db, { rows: [hub('c')] })).numAffectedRows).toBe(1n);
  expect(await names(db, { names: ['a', 'c'] })).toEqual(['a', 'c']);
  expect(await names(db, { names: ['b'] })).toEqual(['b']);
  expect(await names(db, { names: ['a', 'b', 'c'], host: "x'; drop table hub --" })).toEqual(['b']);
  expect(await names(db, { names: ['a', 'b', 'c'], host: 'c' })).toEqual(['c']);
});

test('whoever watches an executor sees prepared queries too, each time', async () => {
  let seen = 0;
  const db = guarded(open(), () => void (seen += 1));
  await names(db, { names: ['a'] });
  await names(db, { names: ['a'] });
  expect(seen).toBeGreaterThanOrEqual(2);
  const closed = guarded(open(), () => {
    throw new Error('closed');
  });
  await expect(select(closed, { names: ['a'] })).rejects.toThrow('closed');
});

test('a query that looks into its values fails instead of keeping the first ones', async () => {
  const looking = prepare((db, at: { readonly name: string }) =>
    db.selectFrom('hub').select('name').where('name', '=', JSON.stringify(at.name)),
  );
  await expect(looking(open(), { name: 'a' })).rejects.toThrow('looked into its values');
});
