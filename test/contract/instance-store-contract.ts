import { describe, expect, test } from 'vitest';

import type { LinkedHubRow } from '../../src/provisioning/ports.ts';
import type { OpenStore } from './open-sqlite.ts';
import { expectRefusal, instanceName, openSeeded, sampleInstance } from './samples.ts';

const linkedHub = (hostName: string, changes: Partial<LinkedHubRow> = {}): LinkedHubRow => ({
  instance: instanceName,
  hostName,
  location: 'local',
  applyAllocationPolicy: true,
  allocationWeight: 1,
  ...changes,
});

/** What every implementation of `InstanceStore` owes. */
export function describeInstanceStore(open: OpenStore): void {
  describe('InstanceStore', () => {
    test('an instance is found by its name in any case, and listed by name', async () => {
      const { store } = await openSeeded(open);
      const other = { ...sampleInstance, name: 'another', idScope: '0ne00000A02', allocationPolicy: 'static' } as const;
      await store.write((tx) => tx.instances.insert(other));
      expect(await store.read.instances.get('dps-LOCAL')).toEqual(sampleInstance);
      expect(await store.read.instances.get('none')).toBeUndefined();
      expect(await store.read.instances.list()).toEqual([other, sampleInstance]);
    });

    test('a name or an ID scope that is taken is refused', async () => {
      const { store } = await openSeeded(open);
      const insert = (changes: object) => store.write((tx) => tx.instances.insert({ ...sampleInstance, ...changes }));
      await expectRefusal(insert({ name: 'DPS-LOCAL', idScope: '0ne00000A02' }), 'ResourceExists');
      await expectRefusal(insert({ name: 'other' }), 'ResourceExists');
      expect(await store.read.instances.list()).toEqual([sampleInstance]);
    });

    test('policies are put by key name, and belong to one instance', async () => {
      const { store } = await openSeeded(open);
      const owner = {
        keyName: 'provisioningserviceowner',
        primaryKey: 'a',
        secondaryKey: 'b',
        rights: ['ServiceConfig', 'EnrollmentWrite'],
      };
      const reader = { keyName: 'enrollmentread', primaryKey: 'c', secondaryKey: 'd', rights: ['EnrollmentRead'] };
      await store.write(async (tx) => {
        await tx.instances.insert({ ...sampleInstance, name: 'other', idScope: '0ne00000A02' });
        await tx.instances.putPolicy(instanceName, owner);
        await tx.instances.putPolicy(instanceName, reader);
      });
      expect(await store.read.instances.policies('DPS-LOCAL')).toEqual([reader, owner]);
      await store.write((tx) => tx.instances.putPolicy('dps-local', { ...owner, primaryKey: 'rolled', rights: [] }));
      expect(await store.read.instances.policies(instanceName)).toEqual([reader, { ...owner, primaryKey: 'rolled', rights: [] }]);
      expect(await store.read.instances.policies('other')).toEqual([]);
    });

    test('linked hubs are put and removed by host name in any case', async () => {
      const { store } = await openSeeded(open);
      await store.write(async (tx) => {
        await tx.instances.putLinkedHub(linkedHub('Hub-B.example.net'));
        await tx.instances.putLinkedHub(linkedHub('hub-a.example.net', { allocationWeight: 1000 }));
        await tx.instances.putLinkedHub(linkedHub('HUB-b.example.net', { allocationWeight: 5, applyAllocationPolicy: false }));
      });
      expect(await store.read.instances.linkedHubs('dps-local')).toEqual([
        linkedHub('hub-a.example.net', { allocationWeight: 1000 }),
        linkedHub('HUB-b.example.net', { allocationWeight: 5, applyAllocationPolicy: false }),
      ]);
      const remove = () => store.write((tx) => tx.instances.deleteLinkedHub('DPS-local', 'hub-B.example.NET'));
      await remove();
      await expectRefusal(remove(), 'ResourceNotFound');
      expect((await store.read.instances.linkedHubs(instanceName)).map((hub) => hub.hostName)).toEqual(['hub-a.example.net']);
    });
  });
}
