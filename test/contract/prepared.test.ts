import fc from 'fast-check';
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

test('whatever comes one after the other finds the statement of its shape', async () => {
  const database = new SqliteDatabase(':memory:');
  const db = createSqliteExecutor(database);
  const echo = prepare(
    (creator, at: { readonly a?: string | undefined; readonly list: readonly string[]; readonly in?: { readonly b?: string } }) =>
      creator.selectNoFrom((eb) => [
        ...(at.a === undefined ? [] : [eb.val(at.a).as('a')]),
        ...at.list.map((item, index) => eb.val(item).as(`item${index}`)),
        ...(at.in === undefined ? [] : [eb.val('in').as('in')]),
        ...(at.in?.b === undefined ? [] : [eb.val(at.in.b).as('b')]),
        eb.val('end').as('end'),
      ]),
  );
  const value = fc.string({ maxLength: 3 });
  const shape = fc.record(
    {
      a: fc.option(value, { nil: undefined }),
      list: fc.array(value, { maxLength: 3 }),
      in: fc.record({ b: value }, { requiredKeys: [], noNullPrototype: true }),
    },
    { requiredKeys: ['list'], noNullPrototype: true },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 1, maxLength: 8 }), async (row) => {
      for (const at of row) {
        const { a, list, in: inner } = at;
        const expected = {
          ...(a === undefined ? {} : { a }),
          ...Object.fromEntries(list.map((item, index) => [`item${index}`, item])),
          ...(inner === undefined ? {} : { in: 'in' }),
          ...(inner?.b === undefined ? {} : { b: inner.b }),
          end: 'end',
        };
        expect((await echo(db, at)).rows).toEqual([expected]);
      }
    }),
  );
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
