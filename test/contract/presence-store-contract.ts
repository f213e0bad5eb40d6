import { describe, expect, test } from 'vitest';

import type { PresenceRow } from '../../src/hub/ports.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import { device, hubName, openSeeded } from './samples.ts';

async function openWithDevices(open: OpenStore, ids: readonly string[] = ['one', 'One', 'one/m']): Promise<SqlStore> {
  const { store } = await openSeeded(open);
  await store.write(async (tx) => {
    for (const id of ids) await tx.devices.insert(device(id));
  });
  return store;
}

const row = (deviceId: string, changes: Partial<PresenceRow> = {}): PresenceRow => ({
  hub: hubName,
  deviceId,
  connected: false,
  ...changes,
});
const put = (store: SqlStore, ...rows: readonly PresenceRow[]): Promise<void> => store.write((tx) => tx.presence.put(rows));
const find = async (store: SqlStore, ...paths: readonly string[]) =>
  Object.fromEntries(await store.read.presence.find(hubName.toUpperCase(), paths));

/** What every implementation of `PresenceStore` owes. */
export function describePresenceStore(open: OpenStore): void {
  describe('PresenceStore', () => {
    test('gives back what was put, by hub and identity; ids compare with case', async () => {
      const store = await openWithDevices(open);
      await put(
        store,
        row('one', { connected: true, connectionChangedAt: instant(5), activeAt: instant(6) }),
        row('one/m', { hub: hubName.toLowerCase(), activeAt: instant(7) }),
      );
      expect(await find(store, 'one', 'One', 'one/m', 'none')).toEqual({
        one: { connectionChangedAt: 5, activeAt: 6 },
        'one/m': { activeAt: 7 },
      });
      expect(await find(store)).toEqual({});
      expect([...(await store.read.presence.find('elsewhere', ['one']))]).toEqual([]);
    });

    test('a moment that is left out stays', async () => {
      const store = await openWithDevices(open);
      await put(store, row('one', { connectionChangedAt: instant(5), activeAt: instant(6) }));
      await put(store, row('one', { activeAt: instant(9) }));
      expect(await find(store, 'one')).toEqual({ one: { connectionChangedAt: 5, activeAt: 9 } });
    });

    test('what one process saw earlier and writes later takes nothing back', async () => {
      const store = await openWithDevices(open);
      await put(store, row('one', { connected: true, connectionChangedAt: instant(8), activeAt: instant(8) }));
      await put(store, row('one', { connected: false, connectionChangedAt: instant(5) }));
      expect(await find(store, 'one')).toEqual({ one: { connectionChangedAt: 8, activeAt: 8 } });
      // It is connected still.
      expect(await store.write((tx) => tx.presence.endConnections(instant(9)))).toBe(1);
    });

    test('rows of identities that are gone are passed over', async () => {
      const store = await openWithDevices(open);
      await put(store, row('none', { activeAt: instant(6) }), row('one', { activeAt: instant(6) }), row('x', { hub: 'elsewhere' }));
      expect(await find(store, 'none', 'one')).toEqual({ one: { activeAt: 6 } });
      expect([...(await store.read.presence.find('elsewhere', ['x']))]).toEqual([]);
    });

    test('goes with its identity, and is nothing of the next one of this name', async () => {
      const store = await openWithDevices(open);
      await put(store, row('one', { activeAt: instant(6) }), row('One', { activeAt: instant(6) }));
      await store.write((tx) => tx.devices.delete(hubName, 'one', undefined));
      await store.write((tx) => tx.devices.insert(device('one')));
      expect(await find(store, 'one', 'One')).toEqual({ One: { activeAt: 6 } });
    });

    test('writing it is no change of the identity, and a change of the identity leaves it', async () => {
      const store = await openWithDevices(open);
      await put(store, row('one', { activeAt: instant(6) }));
      expect(await store.read.devices.get(hubName, 'one')).toEqual(device('one'));
      await store.write((tx) => tx.devices.replace(device('one', { etagCounter: 2, statusReason: 'new' }), 1));
      expect(await find(store, 'one')).toEqual({ one: { activeAt: 6 } });
    });

    test('endConnections ends those that are still called connected, and touches nobody else', async () => {
      const store = await openWithDevices(open);
      await put(
        store,
        row('one', { connected: true, connectionChangedAt: instant(5), activeAt: instant(6) }),
        row('One', { connectionChangedAt: instant(5), activeAt: instant(6) }),
      );
      const end = () => store.write((tx) => tx.presence.endConnections(instant(9)));
      expect([await end(), await end()]).toEqual([1, 0]);
      expect(await find(store, 'one', 'One')).toEqual({
        one: { connectionChangedAt: 9, activeAt: 6 },
        One: { connectionChangedAt: 5, activeAt: 6 },
      });
    });

    test('takes as many as come', async () => {
      const ids = Array.from({ length: 450 }, (_, index) => `d${index}`);
      const store = await openWithDevices(open, ids);
      await put(store, ...ids.map((id, index) => row(id, { activeAt: instant(index) })));
      const found = await store.read.presence.find(hubName, ids);
      expect(found.size).toBe(450);
      expect(found.get('d449')).toEqual({ activeAt: 449 });
    });
  });
}
