import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { openSqlStore, type SqlStore } from '../../src/stores/sql/store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { RecordingLog } from '../fixtures/recording-log.ts';

/** How a contract suite gets an empty store; it closes by itself when the test ends. */
export type OpenStore = () => Promise<OpenedStore>;

export interface OpenedStore {
  readonly store: SqlStore;
  readonly log: RecordingLog;
  readonly clock: FakeClock;
}

/** Opens a store for one test. */
export async function openForTest(path: string): Promise<OpenedStore> {
  const log = new RecordingLog();
  const clock = new FakeClock();
  const store = await openSqlStore({ path, log, clock });
  onTestFinished(() => store.close());
  return { store, log, clock };
}

/** A folder that vanishes when the test ends. Ask for it before the stores in it, so that they close first. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'muster-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}
