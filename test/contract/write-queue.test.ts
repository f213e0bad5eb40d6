import { AsyncLocalStorage } from 'node:async_hooks';

import { expect, test } from 'vitest';

import { openSqlite } from '../../src/stores/sql/dialects/sqlite.ts';
import { createPlans } from '../../src/stores/audited/repositories.ts';
import { createRepositories } from '../../src/stores/sql/repositories.ts';
import { createWriteQueue } from '../../src/stores/sql/write-queue.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';

test('more writes than may wait are refused, the others done, and later ones taken again', async () => {
  const dialect = await openSqlite(':memory:', () => Promise.resolve());
  const queue = createWriteQueue({
    dialect,
    repositories: (db) => createRepositories(db, undefined),
    plans: createPlans(() => '***'),
    scopes: new AsyncLocalStorage(),
    log: new RecordingLog(),
    clock: new FakeClock(),
    queuedWorks: 100,
  });
  const write = (value: number) => queue.write(() => Promise.resolve(value));
  const results = await Promise.allSettled(Array.from({ length: 101 }, (_, index) => write(index)));
  expect(results.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, value) => ({ status: 'fulfilled', value })));
  expect(results[100]).toMatchObject({ status: 'rejected', reason: { error: 'ServerBusy', retryAfterSeconds: 2 } });
  expect(await write(7)).toBe(7);
  await queue.close();
  await dialect.close();
});
