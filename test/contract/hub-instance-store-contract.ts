import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { OpenStore } from './open-sqlite.ts';
import { expectRefusal, hubName, openSeeded } from './samples.ts';

/** What every implementation of `HubInstanceStore` owes. */
export function describeHubInstanceStore(open: OpenStore): void {
  describe('HubInstanceStore', () => {
    test('a hub is found by its name in any case, and listed by name', async () => {
      const { store } = await openSeeded(open);
      const other = { name: 'another', hostName: 'Another.Example.net', createdAt: instant(5) };
      await store.write((tx) => tx.hubs.insert(other));
      expect(await store.read.hubs.get('HUB-local')).toEqual({
        name: hubName,
        hostName: 'Hub.Example.net',
        createdAt: instant(1_700_000_000_000),
      });
      expect(await store.read.hubs.get('none')).toBeUndefined();
      expect((await store.read.hubs.list()).map((hub) => hub.name)).toEqual(['another', hubName]);
    });

    test('a name that is taken in another case is refused', async () => {
      const { store } = await openSeeded(open);
      await expectRefusal(
        store.write((tx) => tx.hubs.insert({ name: 'HUB-LOCAL', hostName: 'x', createdAt: instant(5) })),
        'ResourceExists',
      );
      expect(await store.read.hubs.list()).toHaveLength(1);
    });

    test('policies are put by key name, and belong to one hub', async () => {
      const { store } = await openSeeded(open);
      const owner = { keyName: 'iothubowner', primaryKey: 'a', secondaryKey: 'b', rights: ['RegistryWrite', 'ServiceConnect'] };
      const device = { keyName: 'device', primaryKey: 'c', secondaryKey: 'd', rights: ['DeviceConnect'] };
      await store.write(async (tx) => {
        await tx.hubs.insert({ name: 'other', hostName: 'x', createdAt: instant(5) });
        await tx.hubs.putPolicy(hubName, owner);
        await tx.hubs.putPolicy(hubName, device);
      });
      await store.write((tx) => tx.hubs.putPolicy('hub-LOCAL', { ...owner, secondaryKey: 'rolled' }));
      expect(await store.read.hubs.policies('HUB-LOCAL')).toEqual([device, { ...owner, secondaryKey: 'rolled' }]);
      expect(await store.read.hubs.policies('other')).toEqual([]);
    });
  });
}
