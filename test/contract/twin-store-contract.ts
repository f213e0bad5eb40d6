import { describe, expect, test } from 'vitest';

import type { TwinRow } from '../../src/hub/ports.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { device, expectRefusal, hubName, openSeeded, twin } from './samples.ts';

async function openWithDevice(open: OpenStore): Promise<SqlStore> {
  const { store } = await openSeeded(open);
  await store.write((tx) => tx.devices.insert(device('one')));
  return store;
}

/** What every implementation of `TwinStore` owes. */
export function describeTwinStore(open: OpenStore): void {
  describe('TwinStore', () => {
    test('gives back what was stored', async () => {
      const store = await openWithDevice(open);
      const full = twin('one', {
        etagCounter: 3,
        version: 9,
        tags: { plant: 'thl', nested: { deep: [1, 2.5, null, 'ü', '\u0000'] } },
        desired: {
          version: 4,
          properties: { rate: 5, ['__proto__']: { x: 1 } },
          metadata: { $lastUpdated: 'now', rate: { $lastUpdatedVersion: 4 } },
        },
        reported: { version: 5, properties: { rate: 9_007_199_254_740_991 }, metadata: {} },
        modelId: 'dtmi:example:sensor;1',
      });
      await store.write((tx) => tx.twins.insert(full));
      expect(await store.read.twins.get('HUB-local', 'one')).toEqual(full);
      expect(await store.read.twins.get(hubName, 'ONE')).toBeUndefined();
    });

    test('a device has one twin, and a twin its device', async () => {
      const store = await openWithDevice(open);
      const insert = (row: TwinRow) => store.write((tx) => tx.twins.insert(row));
      await insert(twin('one'));
      await expectRefusal(insert(twin('one', { version: 99 })), 'DeviceAlreadyExists');
      await expect(insert(twin('none'))).rejects.toThrow('FOREIGN KEY');
      expect(await store.read.twins.get(hubName, 'one')).toEqual(twin('one'));
    });

    test('replacing compares the version, exchanges everything, and says what is wrong', async () => {
      const store = await openWithDevice(open);
      await store.write((tx) => tx.twins.insert(twin('one', { modelId: 'dtmi:x;1', tags: { a: 1 } })));
      const next = twin('one', { version: 3, etagCounter: 2, tags: { b: 2 } });
      const replace = (row: TwinRow, version: number) => store.write((tx) => tx.twins.replace(row, version));
      await expectRefusal(replace(next, 9), 'PreconditionFailed');
      await expectRefusal(replace(twin('none'), 2), 'DeviceNotFound');
      await replace(next, 2);
      expect(await store.read.twins.get(hubName, 'one')).toEqual(next);
    });

    test('of two writers with the same version one wins', async () => {
      const store = await openWithDevice(open);
      await store.write((tx) => tx.twins.insert(twin('one')));
      const attempt = (winner: string) => store.write((tx) => tx.twins.replace(twin('one', { version: 3, tags: { winner } }), 2));
      const [first, second] = await Promise.allSettled([attempt('first'), attempt('second')]);
      expect(first.status).toBe('fulfilled');
      expect(second).toMatchObject({ status: 'rejected', reason: { error: 'PreconditionFailed' } });
      expect((await store.read.twins.get(hubName, 'one'))?.tags).toEqual({ winner: 'first' });
    });
  });
}
