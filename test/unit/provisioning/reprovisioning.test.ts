import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import { leaf, root } from '../../fixtures/pki/path-case.ts';
import {
  any,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

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

describe('a device that its hub lost', () => {
  const group = (more: JsonObject) =>
    world.putGroup('g', { attestation: signedBy(top), initialTwin: { tags: { origin: 'initial' } }, ...more }, any);

  test('is made again from the initial twin, as another incarnation', async () => {
    await group({ iotHubs: [hostOf('east')] });
    await world.provision(device);
    const { generationId } = await world.hub.registry.get('east', 'dev-1');
    await world.hub.twins.patch('east', 'dev-1', { body: { tags: { origin: 'changed' } }, precondition: any });
    await world.hub.registry.delete('east', 'dev-1', any);
    expect((await world.provision(device)).registrationState).toMatchObject({
      assignedHub: hostOf('east'),
      substatus: 'initialAssignment',
    });
    expect((await world.hub.twins.get('east', 'dev-1')).tags).toEqual({ origin: 'initial' });
    expect((await world.hub.registry.get('east', 'dev-1')).generationId).not.toBe(generationId);
  });

  test('and that is assigned elsewhere has nothing to migrate', async () => {
    await group({ allocationPolicy: 'static', iotHubs: [hostOf('east')], reprovisionPolicy: policies.migrate });
    await world.provision(device);
    await world.hub.registry.delete('east', 'dev-1', any);
    await group({ allocationPolicy: 'static', iotHubs: [hostOf('west')], reprovisionPolicy: policies.migrate });
    expect((await world.provision(device)).registrationState).toMatchObject({
      assignedHub: hostOf('west'),
      substatus: 'deviceDataReset',
    });
    expect((await world.hub.twins.get('west', 'dev-1')).tags).toEqual({ origin: 'initial' });
  });

  test('comes back to where the policy never keeps it', async () => {
    await group({ allocationPolicy: 'static', iotHubs: [hostOf('east')], reprovisionPolicy: policies.never });
    await world.provision(device);
    await world.hub.registry.delete('east', 'dev-1', any);
    await group({ allocationPolicy: 'static', iotHubs: [hostOf('west')], reprovisionPolicy: policies.never });
    expect((await world.provision(device)).registrationState).toMatchObject({ assignedHub: hostOf('east') });
    expect(await isOn('east')).toBe(true);
  });
});

describe('a device whose id is not its registration id', () => {
  const individual = (more: JsonObject) =>
    world.putIndividual('dev-1', { attestation: holding(device), allocationPolicy: 'static', ...more }, any);

  test.each([
    ['migrate', 'deviceDataMigrated'],
    ['reset', 'deviceDataReset'],
  ] as const)('moves under it with the policy %s', async (policy, substatus) => {
    const common = { deviceId: 'Pump-7', reprovisionPolicy: policies[policy] };
    await individual({ ...common, iotHubs: [hostOf('east')] });
    expect((await world.provision(device)).registrationState).toMatchObject({ registrationId: 'dev-1', deviceId: 'Pump-7' });
    await individual({ ...common, iotHubs: [hostOf('west')] });
    expect((await world.provision(device)).registrationState).toMatchObject({
      deviceId: 'Pump-7',
      assignedHub: hostOf('west'),
      substatus,
    });
    expect((await world.hub.registry.get('west', 'Pump-7')).status).toBe('enabled');
    expect(await isOn('east')).toBe(false);
  });

  test('keeps its id until its record is deleted, and leaves the old identity then', async () => {
    await individual({ deviceId: 'Pump-7', iotHubs: [hostOf('east')] });
    await world.provision(device);
    await individual({ deviceId: 'Pump-8', iotHubs: [hostOf('east')] });
    expect((await world.provision(device)).registrationState).toMatchObject({ deviceId: 'Pump-7' });
    await world.provisioning.records.delete('dps', 'dev-1', any);
    expect((await world.provision(device)).registrationState).toMatchObject({ deviceId: 'Pump-8', substatus: 'initialAssignment' });
    const { items } = await world.hub.registry.list('east', { limit: 5 });
    expect(items.map(({ deviceId }) => deviceId)).toEqual(['Pump-7', 'Pump-8']);
  });
});

describe('substatus', () => {
  const at = async (apiVersion: string, pollVersion = apiVersion) => {
    const request = { ...world.request(device), apiVersion };
    const { body } = await world.provisioning.registrations.register(request);
    const polled = { ...request, apiVersion: pollVersion, operationId: body.operationId };
    return (await world.provisioning.registrations.operationStatus(polled)).body.registrationState?.substatus;
  };

  test('of a return is a word that only versions since 2021-10-01 know', async () => {
    await world.putGroup('g', { attestation: signedBy(top) });
    expect(await at('2021-10-01')).toBe('initialAssignment');
    expect(await at('2019-03-31')).toBe('initialAssignment');
    expect(await at('2021-10-01')).toBe('reprovisionedToInitialAssignment');
    expect(await at('2025-07-01-preview')).toBe('reprovisionedToInitialAssignment');
    expect(await at('2021-10-01', '2021-06-01')).toBe('initialAssignment');
  });

  test('stays what it was while the policy never keeps the device', async () => {
    await moveToWest(policies.migrate);
    await world.putGroup('g', { attestation: signedBy(top), reprovisionPolicy: policies.never }, any);
    expect((await world.provision(device)).registrationState).toMatchObject({
      assignedHub: hostOf('west'),
      substatus: 'deviceDataMigrated',
    });
  });
});

describe('a device that its operator disabled at the hub', () => {
  const disable = async (): Promise<void> => {
    const { authentication } = await world.hub.registry.get('east', 'dev-1');
    const body = { deviceId: 'dev-1', status: 'disabled', authentication: { ...authentication } };
    await world.hub.registry.put('east', 'dev-1', { body, precondition: any });
  };

  test('is not enabled by registering', async () => {
    await world.putGroup('g', { attestation: signedBy(top), iotHubs: [hostOf('east')] });
    await world.provision(device);
    await disable();
    await world.provision(device);
    expect((await world.hub.registry.get('east', 'dev-1')).status).toBe('disabled');
  });

  test.each(['migrate', 'reset'] as const)('nor by moving with the policy %s', async (policy) => {
    const common = { attestation: signedBy(top), allocationPolicy: 'static', reprovisionPolicy: policies[policy] };
    await world.putGroup('g', { ...common, iotHubs: [hostOf('east')] });
    await world.provision(device);
    await disable();
    await world.putGroup('g', { ...common, iotHubs: [hostOf('west')] }, any);
    expect((await world.provision(device)).registrationState).toMatchObject({ assignedHub: hostOf('west') });
    expect((await world.hub.registry.get('west', 'dev-1')).status).toBe('disabled');
  });
});

test('a move that the new hub refuses leaves the device where it was', async () => {
  const common = { attestation: signedBy(top), allocationPolicy: 'static', reprovisionPolicy: policies.migrate };
  await world.putGroup('g', { ...common, iotHubs: [hostOf('east')] });
  await world.provision(device);
  const link = { hostName: 'gone.example.org', location: '', applyAllocationPolicy: true, allocationWeight: 1 };
  await world.provisioning.instances.linkHub('dps', link);
  await world.putGroup('g', { ...common, iotHubs: ['gone.example.org'] }, any);
  expect(await world.provision(device)).toMatchObject({ status: 'failed', registrationState: { errorCode: 400209 } });
  expect(await isOn('east')).toBe(true);
  await world.putGroup('g', { ...common, iotHubs: [hostOf('west')] }, any);
  expect((await world.provision(device)).registrationState).toMatchObject({ substatus: 'deviceDataMigrated' });
  expect([await isOn('east'), await isOn('west')]).toEqual([false, true]);
});

test('deleting a group leaves its records, in the list as well', async () => {
  await world.putGroup('g', { attestation: signedBy(top) });
  await world.provision(device);
  await world.provisioning.enrollmentGroups.delete('dps', 'g', any);
  expect((await world.provisioning.records.listByGroup('dps', 'g', { limit: 5 })).items).toMatchObject([{ registrationId: 'dev-1' }]);
  expect(await world.provisioning.records.get('dps', 'dev-1')).toMatchObject({ status: 'assigned' });
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
