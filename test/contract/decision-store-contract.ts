import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { DecisionRow } from '../../src/provisioning/ports.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { instanceName, openSeeded } from './samples.ts';

const decision = (trackingId: string, changes: Partial<DecisionRow> = {}): DecisionRow => ({
  trackingId,
  instance: instanceName,
  registrationId: 'Sensor-One',
  at: instant(1_700_000_000_001),
  transport: 'mqtt-ws',
  verdict: 'refused',
  trace: [{ entry: 'Plant-One', reason: 'disabled' }],
  ...changes,
});

const append = (store: SqlStore, ...rows: readonly DecisionRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.decisions.append(row);
  });

async function left(store: SqlStore, ids: readonly string[]): Promise<readonly string[]> {
  const rows = await Promise.all(ids.map((id) => store.read.decisions.get(id)));
  return rows.flatMap((row) => (row === undefined ? [] : [row.trackingId]));
}

/** What every implementation of `DecisionStore` owes. */
export function describeDecisionStore(open: OpenStore): void {
  describe('DecisionStore', () => {
    test('a tracking id resolves to the decision', async () => {
      const { store } = await openSeeded(open);
      await append(store, decision('one'), decision('two', { trace: null }));
      expect(await store.read.decisions.get('one')).toEqual(decision('one'));
      expect(await store.read.decisions.get('two')).toEqual(decision('two', { trace: null }));
      expect(await store.read.decisions.get('three')).toBeUndefined();
    });

    test('the operation that it began resolves to it, too', async () => {
      const { store } = await openSeeded(open);
      await append(store, decision('one', { operationId: '4.aa.one' }), decision('two'));
      expect(await store.read.decisions.get('4.aa.one')).toEqual(decision('one', { operationId: '4.aa.one' }));
      expect(await store.read.decisions.get('4.aa.two')).toBeUndefined();
    });

    test('one with the same tracking id takes the place of the earlier one', async () => {
      const { store } = await openSeeded(open);
      await append(store, decision('one', { operationId: '4.aa.one' }));
      const later = decision('one', { verdict: 'admit', at: instant(1_700_000_000_009), operationId: '4.aa.one', trace: { ended: true } });
      await append(store, later);
      expect(await store.read.decisions.get('one')).toEqual(later);
      expect(await store.write((tx) => tx.decisions.prune({ before: instant(0), keep: 1 }))).toBe(0);
    });

    test('a decision about an instance that does not exist is kept, too', async () => {
      const { store } = await openSeeded(open);
      await append(store, decision('one', { instance: '0neUNKNOWN' }));
      expect(await store.read.decisions.get('one')).toEqual(decision('one', { instance: '0neUNKNOWN' }));
    });

    test('pruning removes the old, then all but the newest', async () => {
      const { store } = await openSeeded(open);
      const ids = ['a', 'b', 'c', 'd', 'e'];
      await append(store, ...ids.map((id, index) => decision(id, { at: instant(10 + index) })));
      const prune = (before: number, keep: number) => store.write((tx) => tx.decisions.prune({ before: instant(before), keep }));
      expect(await prune(12, 5)).toBe(2);
      expect(await left(store, ids)).toEqual(['c', 'd', 'e']);
      expect(await prune(12, 2)).toBe(1);
      expect(await left(store, ids)).toEqual(['d', 'e']);
      expect(await prune(0, 2)).toBe(0);
      expect(await prune(0, 0)).toBe(2);
      expect(await left(store, ids)).toEqual([]);
    });

    test('pruning both at once counts each decision once, and keeps exactly as many as told when they are of one instant', async () => {
      const { store } = await openSeeded(open);
      const ids = ['a', 'b', 'c', 'd'];
      await append(store, decision('old', { at: instant(1) }), ...ids.map((id) => decision(id, { at: instant(10) })));
      expect(await store.write((tx) => tx.decisions.prune({ before: instant(10), keep: 3 }))).toBe(2);
      expect(await left(store, ['old', ...ids])).toHaveLength(3);
    });
  });
}
