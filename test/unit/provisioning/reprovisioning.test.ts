import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import { leaf, root } from '../../fixtures/pki/path-case.ts';
import { any, hostOf, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

const top = root();
const device = leaf(top, { subject: 'dev-1' });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.link('west');
});
afterEach(() => world.close());

const policies = {
  migrate: { updateHubAssignment: true, migrateDeviceData: true },
  reset: { updateHubAssignment: true, migrateDeviceData: false },
  never: { updateHubAssignment: false, migrateDeviceData: false },
} as const;

/** Provisions on east, changes the twin there, points the group at west, and provisions again. */
async function moveToWest(reprovisionPolicy: JsonObject) {
  const common = {
    attestation: signedBy(top),
    reprovisionPolicy,
    allocationPolicy: 'static',
    initialTwin: { tags: { origin: 'initial' } },
  };
  await world.putGroup('g', { ...common, iotHubs: [hostOf('east')] });
  await world.provision(device);
  await world.hub.twins.patch('east', 'dev-1', { body: { tags: { origin: 'changed' } }, precondition: any });
  await world.putGroup('g', { ...common, iotHubs: [hostOf('west')] }, any);
  return (await world.provision(device)).registrationState;
}

const isOn = async (hub: string): Promise<boolean> => (await world.hub.registry.list(hub, { limit: 1 })).items.length === 1;

describe('when the allocation picks another hub', () => {
  test('migrate moves identity and twin', async () => {
    expect(await moveToWest(policies.migrate)).toMatchObject({ assignedHub: hostOf('west'), substatus: 'deviceDataMigrated' });
    expect([await isOn('east'), await isOn('west')]).toEqual([false, true]);
    expect((await world.hub.twins.get('west', 'dev-1')).tags).toEqual({ origin: 'changed' });
  });

  test('reset removes the old identity and begins with the initial twin', async () => {
    expect(await moveToWest(policies.reset)).toMatchObject({ assignedHub: hostOf('west'), substatus: 'deviceDataReset' });
    expect([await isOn('east'), await isOn('west')]).toEqual([false, true]);
    expect((await world.hub.twins.get('west', 'dev-1')).tags).toEqual({ origin: 'initial' });
  });

  test('never stays where the device is', async () => {
    expect(await moveToWest(policies.never)).toMatchObject({ assignedHub: hostOf('east'), substatus: 'initialAssignment' });
    expect([await isOn('east'), await isOn('west')]).toEqual([true, false]);
    expect((await world.hub.twins.get('east', 'dev-1')).tags).toEqual({ origin: 'changed' });
  });

  test('never cannot stay on a hub that is not linked any more', async () => {
    const common = { attestation: signedBy(top), reprovisionPolicy: policies.never };
    await world.putGroup('g', { ...common, allocationPolicy: 'static', iotHubs: [hostOf('east')] });
    await world.provision(device);
    await world.putGroup('g', common, any);
    await world.provisioning.instances.unlinkHub('dps', hostOf('east'));
    expect((await world.provision(device)).registrationState).toMatchObject({ assignedHub: hostOf('west') });
  });

  test('a move is remembered across a time in which the device was disabled', async () => {
    const common = { attestation: signedBy(top), reprovisionPolicy: policies.migrate, allocationPolicy: 'static' };
    await world.putGroup('g', { ...common, iotHubs: [hostOf('east')] });
    await world.provision(device);
    await world.putGroup('g', { ...common, iotHubs: [hostOf('east')], provisioningStatus: 'disabled' }, any);
    await world.provision(device);
    await world.putGroup('g', { ...common, iotHubs: [hostOf('west')], provisioningStatus: 'enabled' }, any);
    expect((await world.provision(device)).registrationState).toMatchObject({
      assignedHub: hostOf('west'),
      substatus: 'deviceDataMigrated',
    });
    expect(await isOn('east')).toBe(false);
  });
});

test('a device that its hub lost is made again from the initial twin', async () => {
  await world.putGroup('g', { attestation: signedBy(top), iotHubs: [hostOf('east')], initialTwin: { tags: { origin: 'initial' } } });
  await world.provision(device);
  await world.hub.registry.delete('east', 'dev-1', any);
  expect((await world.provision(device)).registrationState).toMatchObject({ assignedHub: hostOf('east'), substatus: 'initialAssignment' });
  expect((await world.hub.twins.get('east', 'dev-1')).tags).toEqual({ origin: 'initial' });
});

test('a device that its operator disabled at the hub is not enabled by registering', async () => {
  await world.putGroup('g', { attestation: signedBy(top), iotHubs: [hostOf('east')] });
  await world.provision(device);
  const { authentication } = await world.hub.registry.get('east', 'dev-1');
  await world.hub.registry.put('east', 'dev-1', {
    body: { deviceId: 'dev-1', status: 'disabled', authentication: { ...authentication } },
    precondition: any,
  });
  await world.provision(device);
  expect((await world.hub.registry.get('east', 'dev-1')).status).toBe('disabled');
});

test('after its record was deleted a device counts as new', async () => {
  await world.putGroup('g', { attestation: signedBy(top), allocationPolicy: 'static', iotHubs: [hostOf('east')] });
  await world.provision(device);
  const { etag } = await world.provisioning.records.get('dps', 'dev-1');
  const stale = { kind: 'etag', etag: 'stale' } as const;
  expect((await refusalOf(world.provisioning.records.delete('dps', 'dev-1', stale))).error).toBe('DpsPreconditionFailed');
  await world.provisioning.records.delete('dps', 'dev-1', { kind: 'etag', etag: (etag ?? '').replaceAll('"', '') });
  await world.putGroup('g', { attestation: signedBy(top), allocationPolicy: 'static', iotHubs: [hostOf('west')] }, any);
  expect((await world.provision(device)).registrationState).toMatchObject({ assignedHub: hostOf('west'), substatus: 'initialAssignment' });
  expect([await isOn('east'), await isOn('west')]).toEqual([true, true]);
});
