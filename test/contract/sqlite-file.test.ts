import { AsyncLocalStorage } from 'node:async_hooks';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';
import { sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';

import { openSqlStore, type SqlStore } from '../../src/stores/sql/store.ts';
import { openSqlite } from '../../src/stores/sql/dialects/sqlite.ts';
import { createPlans } from '../../src/stores/audited/repositories.ts';
import { createRepositories } from '../../src/stores/sql/repositories.ts';
import type { SqlExecutor } from '../../src/stores/sql/schema.ts';
import { createWriteQueue } from '../../src/stores/sql/write-queue.ts';
import { StoreOpenError } from '../../src/stores/sql/store-open-error.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';
import { openForTest, temporaryFolder } from './open-sqlite.ts';
import { device, hubName, openSeeded, telemetry, twin } from './samples.ts';

const newPath = (): string => join(temporaryFolder(), 'muster.db');

const openAt = (path: string): Promise<SqlStore> => openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock() });

/** What a killed process would leave: the files as they are while the store is open. */
function filesAsAfterKill(path: string): string {
  const copy = newPath();
  copyFileSync(path, copy);
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
  return copy;
}

/** Runs SQL from outside, as another process would. */
function fromOutside(path: string, sql: string): void {
  const database = new Database(path);
  database.exec(sql);
  database.close();
}

describe('a file after a crash', () => {
  test('has every write that was acknowledged, and says that nobody closed it', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        store.write(async (tx) => {
          await tx.devices.insert(device(`device-${index}`));
          await tx.twins.insert(twin(`device-${index}`));
          await tx.telemetry.append([telemetry(`device-${index}`, `${index}`)]);
        }),
      ),
    );
    const { store: revived } = await openForTest(filesAsAfterKill(path));
    expect(revived.recovery.cleanShutdown).toBe(false);
    expect(revived.recovery.walBytes).toBeGreaterThan(0);
    expect((await revived.read.devices.list(hubName, { limit: 1000 })).items).toHaveLength(100);
    expect(await revived.read.twins.get(hubName, 'device-99')).toEqual(twin('device-99'));
    expect(await revived.read.telemetry.lastSequenceNumber(hubName)).toBe(100);
  });

  test('has nothing of a write that was not finished', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    const copy = await store.write(async (tx) => {
      await tx.devices.insert(device('half'));
      return filesAsAfterKill(path);
    });
    const { store: revived } = await openForTest(copy);
    expect(await revived.read.devices.get(hubName, 'half')).toBeUndefined();
    expect(await store.read.devices.get(hubName, 'half')).toEqual(device('half'));
  });

  test('is in order again once it was closed', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    const copy = filesAsAfterKill(path);
    await store.close();
    const revived = await openAt(copy);
    expect(revived.recovery.cleanShutdown).toBe(false);
    await revived.close();
    const { store: again } = await openForTest(copy);
    expect(again.recovery).toEqual({ cleanShutdown: true, walBytes: 0 });
  });
});

describe('a file', () => {
  test('that is new counts as closed in order, and so does one that was closed', async () => {
    const path = newPath();
    const first = await openAt(path);
    expect(first.recovery).toEqual({ cleanShutdown: true, walBytes: 0 });
    await first.close();
    const { store: second, log } = await openForTest(path);
    expect(second.recovery).toEqual({ cleanShutdown: true, walBytes: 0 });
    expect(log.named('store.opened')).toEqual([{ cleanShutdown: true, walBytes: 0, migrated: [] }]);
  });

  test('can be read by its owner only, with its log and index', async () => {
    const path = newPath();
    writeFileSync(path, '', { mode: 0o644 });
    await openSeeded(() => openForTest(path));
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o777).toBe(0o600);
    const fresh = newPath();
    await openForTest(fresh);
    expect(statSync(fresh).mode & 0o777).toBe(0o600);
  });

  test('is written through to the disk at every commit, and checked for broken references', async () => {
    const dialect = await openSqlite(newPath(), () => Promise.resolve());
    onTestFinished(() => dialect.close());
    const pragma = async (name: string): Promise<unknown> => {
      const { rows } = await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(dialect.writer);
      return Object.values(rows[0] ?? {})[0];
    };
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('synchronous')).toBe(2);
    expect(await pragma('fullfsync')).toBe(1);
    expect(await pragma('foreign_keys')).toBe(1);
    await expect(sql`create table intruder (id integer)`.execute(dialect.reader)).rejects.toThrow('readonly');
  });

  test('leaves no log behind when it is closed', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
  });

  test('answers reads while a write is under way, from the state before it', async () => {
    const { store } = await openSeeded(() => openForTest(newPath()));
    let begun: (() => void) | undefined;
    const half = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let proceed: (() => void) | undefined;
    const paused = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const write = store.write(async (tx) => {
      await tx.devices.insert(device('one'));
      begun?.();
      await paused;
    });
    await half;
    // The write goes on only after these have answered: they did not wait for it.
    expect(await store.read.devices.get(hubName, 'one')).toBeUndefined();
    expect(await store.read.devices.list(hubName, { limit: 10 })).toEqual({ items: [] });
    proceed?.();
    await write;
    expect(await store.read.devices.get(hubName, 'one')).toEqual(device('one'));
  });

  test('keeps its log small under a long run of writes', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    const body = 'x'.repeat(4096);
    for (let round = 0; round < 60; round += 1) {
      await store.write((tx) => tx.telemetry.append(Array.from({ length: 100 }, () => telemetry('one', body))));
      await store.read.telemetry.lastSequenceNumber(hubName);
    }
    expect(statSync(path).size).toBeGreaterThan(20 * 1024 * 1024);
    expect(statSync(`${path}-wal`).size).toBeLessThan(12 * 1024 * 1024);
  });
});

describe('a commit that fails', () => {
  /** A foreign key that is checked at the commit, broken by the device `poison`: only the commit can fail. */
  const failAtCommit = `
    create table anchor (id integer primary key);
    create table dangling (id integer references anchor (id) deferrable initially deferred);
    create trigger poison after insert on device when new.device_id = 'poison' begin insert into dangling values (1); end;`;

  test('rejects every write of its group, runs no effect, keeps no row, and the next group works', async () => {
    const path = newPath();
    const { store, log } = await openSeeded(() => openForTest(path));
    fromOutside(path, failAtCommit);
    const effects: string[] = [];
    const insert = (id: string) =>
      store.write((tx) => {
        tx.afterCommit(() => effects.push(id));
        return tx.devices.insert(device(id));
      });
    const refused = store.write(() => Promise.reject(new Error('its own reason')));
    const results = await Promise.allSettled([insert('one'), insert('poison'), refused, insert('two')]);
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' } });
    expect(effects).toEqual([]);
    expect(log.named('store.commit-failed')).toMatchObject([{ works: 4 }]);
    expect(await store.read.devices.list(hubName, { limit: 10 })).toEqual({ items: [] });
    await insert('three');
    expect(effects).toEqual(['three']);
    expect((await store.read.devices.list(hubName, { limit: 10 })).items).toEqual([device('three')]);
  });

  test('because the database gave the transaction up, leaves no row even of a work that carries on', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    fromOutside(
      path,
      "create trigger poison after insert on device when new.device_id = 'poison' begin select raise(rollback, 'given up'); end;",
    );
    const before = store.write((tx) => tx.devices.insert(device('before')));
    const attempts: unknown[] = [];
    const stubborn = store.write(async (tx) => {
      for (const id of ['poison', 'outside']) attempts.push(...(await Promise.allSettled([tx.devices.insert(device(id))])));
    });
    const results = await Promise.allSettled([before, stubborn]);
    const lost = { status: 'rejected', reason: { message: expect.stringContaining('ended the transaction') as string } };
    expect(results).toMatchObject([lost, lost]);
    expect(attempts).toMatchObject([
      { reason: { message: 'given up' } },
      { reason: { message: expect.stringContaining('ended the transaction') as string } },
    ]);
    expect(await store.read.devices.list(hubName, { limit: 10 })).toEqual({ items: [] });
    const poison = store.write((tx) => tx.devices.insert(device('poison')));
    await expect(poison).rejects.toThrow('given up');
    await store.write((tx) => tx.devices.insert(device('after')));
    expect((await store.read.devices.list(hubName, { limit: 10 })).items).toEqual([device('after')]);
  });
});

describe('a file with a guest', () => {
  const openGuest = (path: string): Promise<SqlStore> =>
    openSqlStore({ path, log: new RecordingLog(), clock: new FakeClock(), as: 'guest' });

  test('shows each what the other committed, and both write at the same time', async () => {
    const path = newPath();
    const { store: host } = await openSeeded(() => openForTest(path));
    const guest = await openGuest(path);
    onTestFinished(() => guest.close());
    const write = (store: SqlStore, id: string) => store.write((tx) => tx.devices.insert(device(id)));
    await write(guest, 'of-the-guest');
    expect(await host.read.devices.get(hubName, 'of-the-guest')).toEqual(device('of-the-guest'));
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    await Promise.all(numbers.flatMap((number) => [write(host, `host-${number}`), write(guest, `guest-${number}`)]));
    expect((await guest.read.devices.list(hubName, { limit: 1000 })).items).toHaveLength(401);
  });

  test('waits for the transaction of another process without holding up what else there is to do', async () => {
    const path = newPath();
    const { store: host } = await openSeeded(() => openForTest(path));
    const other = new Database(path);
    onTestFinished(() => void other.close());
    other.exec('begin immediate');
    let isWritten = false;
    const written = host.write((tx) => tx.devices.insert(device('later'))).then(() => (isWritten = true));
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect([isWritten, await host.read.devices.get(hubName, 'later')]).toEqual([false, undefined]);
    other.exec('commit');
    await written;
    expect(await host.read.devices.get(hubName, 'later')).toEqual(device('later'));
  });

  test('is closed in order when its host says so, whatever its guests did', async () => {
    const path = newPath();
    const { store: host } = await openSeeded(() => openForTest(path));
    const guest = await openGuest(path);
    await guest.close();
    expect((await openAt(filesAsAfterKill(path))).recovery.cleanShutdown).toBe(false);
    await host.close();
    const again = await openAt(path);
    expect(again.recovery.cleanShutdown).toBe(true);
    await again.close();
  });
});

describe('a disk that is full', () => {
  test('refuses with a sentence, acknowledges nothing, keeps what was there, and takes writes again once there is room', async () => {
    const path = newPath();
    const { store: seeded } = await openSeeded(() => openForTest(path));
    await seeded.close();
    const dialect = await openSqlite(path, () => Promise.resolve());
    const log = new RecordingLog();
    const repositories = (db: SqlExecutor) => createRepositories(db, undefined);
    const queue = createWriteQueue({
      dialect,
      repositories,
      plans: createPlans(() => '***'),
      scopes: new AsyncLocalStorage(),
      log,
      clock: new FakeClock(),
      queuedWorks: 100,
    });
    onTestFinished(async () => {
      await queue.close();
      await dialect.close();
    });
    const effects: string[] = [];
    const write = (id: string, body = '') =>
      queue.write(async (tx) => {
        tx.afterCommit(() => effects.push(id));
        await tx.devices.insert(device(id));
        await tx.telemetry.append([telemetry(id, body)]);
      });
    await write('before');
    await sql`pragma max_page_count = 1`.execute(dialect.writer);
    const results = await Promise.allSettled([write('one', 'x'.repeat(200_000)), write('two', 'x'.repeat(200_000))]);
    const full = {
      error: 'ServerBusy',
      message: 'The service cannot store anything now, because its disk is full.',
      retryAfterSeconds: 30,
    };
    expect(results).toMatchObject(results.map(() => ({ status: 'rejected', reason: full })));
    expect(effects).toEqual(['before']);
    const stored = async () => (await repositories(dialect.reader).devices.list(hubName, { limit: 10 })).items.map((row) => row.deviceId);
    expect(await stored()).toEqual(['before']);
    await sql`pragma max_page_count = 1000000`.execute(dialect.writer);
    await write('after');
    expect(await stored()).toEqual(['after', 'before']);
    expect(log.named('store.commit-failed')).toMatchObject([{ works: 2, error: { code: 'SQLITE_FULL' } }]);
  });
});

describe('a file that is refused', () => {
  async function refusal(path: string): Promise<string> {
    const error = await openAt(path).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(StoreOpenError);
    return (error as StoreOpenError).message;
  }

  test('is no database, and stays as it is', async () => {
    const path = newPath();
    const text = 'This is a letter, not a database. '.repeat(100);
    writeFileSync(path, text, { mode: 0o644 });
    expect(await refusal(path)).toBe(`${path} is not a database. Move it away, or choose another data folder.`);
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });

  test('was written by a newer version, and stays as it is', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    await store.close();
    fromOutside(path, "insert into kysely_migration values ('9999-from-the-future', '2030-01-01T00:00:00.000Z')");
    const before = readFileSync(path);
    const message = await refusal(path);
    expect(message).toContain('newer version of Muster');
    expect(message).toContain('9999-from-the-future');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('belongs to another program, and stays as it is', async () => {
    const path = newPath();
    fromOutside(path, 'create table bookmark (url text)');
    const before = readFileSync(path);
    expect(await refusal(path)).toBe(`${path} is a database of another program. Choose another data folder.`);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('is a folder, or in no folder, or below a file', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'directory.db'));
    expect(await refusal(join(folder, 'directory.db'))).toContain('cannot be opened');
    expect(await refusal(join(folder, 'missing', 'muster.db'))).toContain('its folder does not exist');
    writeFileSync(join(folder, 'file'), 'x');
    expect(await refusal(join(folder, 'file', 'muster.db'))).toContain('a part of its path is a file');
  });

  test('was cut short', async () => {
    const path = newPath();
    const { store } = await openSeeded(() => openForTest(path));
    await store.write((tx) => tx.telemetry.append(Array.from({ length: 500 }, () => telemetry('one', 'x'.repeat(1000)))));
    await store.close();
    writeFileSync(path, readFileSync(path).subarray(0, 8192));
    expect(await refusal(path)).toContain('is damaged');
  });
});

test('a first start that was killed between creating the file and the schema is simply repeated', async () => {
  const path = newPath();
  fromOutside(path, 'create table kysely_migration (name varchar(255) not null primary key, timestamp varchar(255) not null)');
  const { store } = await openSeeded(() => openForTest(path));
  expect(await store.read.hubs.get(hubName)).toBeDefined();
});
