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

    test('changing compares the entity tag and says what is wrong', async () => {
      const { store } = await openSeeded(open);
      const next = { ...sampleInstance, allocationPolicy: 'static', etag: 'instance-2', ipFilterRules: [] } as const;
      const update = (expected: string | undefined, name = 'dps-LOCAL') =>
        store.write((tx) => tx.instances.update({ ...next, name }, expected));
      await expectRefusal(update('stale'), 'DpsPreconditionFailed');
      expect(await store.read.instances.get(instanceName)).toEqual(sampleInstance);
      await update('instance-1');
      expect(await store.read.instances.get(instanceName)).toEqual({ ...next, name: instanceName });
      await expectRefusal(update('instance-1'), 'DpsPreconditionFailed');
      await update(undefined);
      await expectRefusal(update(undefined, 'none'), 'ResourceNotFound');
    });

    test('a policy is deleted from its instance alone', async () => {
      const { store } = await openSeeded(open);
      const policy = { keyName: 'reader', primaryKey: 'a', secondaryKey: 'b', rights: [] };
      await store.write(async (tx) => {
        await tx.instances.insert({ ...sampleInstance, name: 'other', idScope: '0ne00000A02' });
        await tx.instances.putPolicy('other', policy);
        await tx.instances.putPolicy(instanceName, policy);
        await tx.instances.deletePolicy('DPS-local', 'reader');
      });
      expect([await store.read.instances.policies(instanceName), await store.read.instances.policies('other')]).toEqual([[], [policy]]);
      await expectRefusal(
        store.write((tx) => tx.instances.deletePolicy(instanceName, 'reader')),
        'ResourceNotFound',
      );
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
