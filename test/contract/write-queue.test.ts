import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { openSqlite } from '../../src/stores/sql/dialects/sqlite.ts';
import { createPlans } from '../../src/stores/audited/repositories.ts';
import { createRepositories } from '../../src/stores/sql/repositories.ts';
import { createWriteQueue } from '../../src/stores/sql/write-queue.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';

async function openQueue(queuedWorks: number) {
  const dialect = await openSqlite(':memory:', () => Promise.resolve());
  const counted = { commits: 0 };
  const queue = createWriteQueue({
    dialect: {
      ...dialect,
      transaction: (work) => {
        counted.commits += 1;
        return dialect.transaction(work);
      },
    },
    repositories: (db) => createRepositories(db, undefined),
    plans: createPlans(() => '***'),
    scopes: new AsyncLocalStorage(),
    log: new RecordingLog(),
    clock: new FakeClock(),
    queuedWorks,
  });
  const close = async (): Promise<void> => {
    await queue.close();
    await dialect.close();
  };
  return { queue, counted, close };
}

test('writes that come a turn apart share a commit, and one that comes alone has its own', async () => {
  const { queue, counted, close } = await openQueue(100);
  await queue.write(() => Promise.resolve());
  expect(counted.commits).toBe(1);
  const writes: Promise<unknown>[] = [];
  for (let turn = 0; turn < 8; turn += 1) {
    writes.push(queue.write(() => Promise.resolve()));
    await nextTurn();
  }
  await Promise.all(writes);
  expect(counted.commits).toBe(2);
  await close();
});

test('a write does not wait for an endless row of others', async () => {
  const { queue, close } = await openQueue(1000);
  const done: string[] = [];
  const first = queue.write(() => Promise.resolve()).then(() => done.push('first'));
  for (let others = 0; others < 25; others += 1) {
    void queue.write(() => Promise.resolve());
    await nextTurn();
  }
  expect(done).toEqual(['first']);
  await first;
  await close();
});

test('more writes than may wait are refused, the others done, and later ones taken again', async () => {
  const { queue, close } = await openQueue(100);
  const write = (value: number) => queue.write(() => Promise.resolve(value));
  const results = await Promise.allSettled(Array.from({ length: 101 }, (_, index) => write(index)));
  expect(results.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, value) => ({ status: 'fulfilled', value })));
  expect(results[100]).toMatchObject({ status: 'rejected', reason: { error: 'ServerBusy', retryAfterSeconds: 2 } });
  expect(await write(7)).toBe(7);
  await close();
});
