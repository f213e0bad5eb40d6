import { describe, expect, test } from 'vitest';

import { selectDeviceId, selectRegistrationId } from '../../src/blocks/keys.ts';
import type { Block, Selector } from '../../src/blocks/block.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import { blockOf } from '../fixtures/block-samples.ts';
import type { OpenStore } from './open-sqlite.ts';
import { expectRefusal, openSeeded } from './samples.ts';

const leaf: Selector = { kind: 'leaf', value: 'AB'.repeat(32), key: `leaf:${'AB'.repeat(32)}` };
const [sensor, device] = [selectRegistrationId('Sensor-1'), selectDeviceId('Sensor-1')];

const insert = (store: SqlStore, ...blocks: readonly Block[]): Promise<void> =>
  store.write(async (tx) => {
    for (const block of blocks) await tx.blocks.insert(block);
  });

/** What every implementation of `BlockStore` owes. */
export function describeBlockStore(open: OpenStore): void {
  describe('BlockStore', () => {
    test('keeps a block with its selectors in order, whatever it has or lacks', async () => {
      const { store } = await openSeeded(open);
      const full = blockOf('a', [sensor, leaf, device], {
        ticket: 'T-1',
        expiresAt: instant(5),
        receiptId: 'r',
        readmission: { until: instant(7), usedAt: instant(6) },
      });
      await insert(store, full, blockOf('b', [leaf]));
      expect(await store.read.blocks.get('a')).toEqual(full);
      expect(await store.read.blocks.get('b')).toEqual(blockOf('b', [leaf]));
      expect(await store.read.blocks.get('c')).toBeUndefined();
    });

    test('finds blocks by any of their keys, each once', async () => {
      const { store } = await openSeeded(open);
      await insert(store, blockOf('a', [sensor, leaf]), blockOf('b', [device]), blockOf('c', [selectDeviceId('other')]));
      const found = async (...keys: Parameters<typeof store.read.blocks.matching>[0]) =>
        (await store.read.blocks.matching(keys)).map(({ id }) => id);
      expect(await found(sensor.key, leaf.key, device.key)).toEqual(['a', 'b']);
      expect(await found(selectRegistrationId('SENSOR-1').key)).toEqual(['a']);
      expect(await found(selectDeviceId('SENSOR-1').key)).toEqual([]);
      expect(await found()).toEqual([]);
    });

    test('lists in pages, and forgets with everything that was named', async () => {
      const { store } = await openSeeded(open);
      await insert(store, blockOf('a', [sensor]), blockOf('b', [sensor, leaf]), blockOf('c', [device]));
      const first = await store.read.blocks.list({ limit: 2 });
      expect([first.items.map(({ id }) => id), first.next]).toEqual([['a', 'b'], 'b']);
      expect((await store.read.blocks.list({ limit: 2, after: 'b' })).items).toEqual([blockOf('c', [device])]);
      await store.write((tx) => tx.blocks.delete('b'));
      expect(await store.read.blocks.matching([leaf.key])).toEqual([]);
      await expectRefusal(
        store.write((tx) => tx.blocks.delete('b')),
        'ResourceNotFound',
      );
    });

    test('a readmission is used once, and only before its end', async () => {
      const { store } = await openSeeded(open);
      await insert(store, blockOf('a', [sensor], { readmission: { until: instant(10) } }), blockOf('b', [sensor]));
      const use = (id: string, at: number) => store.write((tx) => tx.blocks.useReadmission(id, instant(at)));
      expect(await use('a', 10)).toBe(false);
      expect(await use('a', 9)).toBe(true);
      expect(await use('a', 9)).toBe(false);
      expect((await store.read.blocks.get('a'))?.readmission).toEqual({ until: instant(10), usedAt: instant(9) });
      expect(await use('b', 1)).toBe(false);
      await store.write((tx) => tx.blocks.setReadmission('a', { until: instant(20) }));
      expect(await use('a', 11)).toBe(true);
      await store.write((tx) => tx.blocks.setReadmission('a', undefined));
      expect(await store.read.blocks.get('a')).toEqual(blockOf('a', [sensor]));
      await expectRefusal(
        store.write((tx) => tx.blocks.setReadmission('z', undefined)),
        'ResourceNotFound',
      );
    });
  });
}
