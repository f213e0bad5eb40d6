import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { transportNames } from '../../src/contracts/transport.ts';
import type { SdkError } from './harness/azure-sdks.ts';
import type { Issued } from './harness/cert-gen.ts';
import { denyOf, Device, groupOf, hubA, hubB, openStage, type Stage } from './harness/stage.ts';

// The exercise through unmodified SDKs: a group lets devices in; a disabled individual enrollment of another id, found by
// the leaf, shuts one out; its neighbour goes on; the device comes back when the entry is enabled, or deleted.

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
  await stage.sdks.run('dps', {
    connectionString: stage.dpsConnectionString,
    method: 'createOrUpdateEnrollmentGroup',
    args: [groupOf('thermostats', stage.root, { initialTwin: { tags: { site: 'north' }, properties: { desired: { interval: 30 } } } })],
  });
});
afterAll(() => stage?.close());

const dps = <T>(method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('dps', { connectionString: stage.dpsConnectionString, method, args });
const registry = <T>(hub: string, method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('registry', { connectionString: stage.hubConnectionString(hub), method, args });

describe.concurrent.each(transportNames)('over %s', (transport) => {
  const hasLiveConnection = transport !== 'https';

  test('one device of the group is shut out and let back in', async () => {
    const leaf = await stage.pki.device(`sensor-${transport}-002`, stage.root);
    const target = new Device(stage, { id: `sensor-${transport}-002`, leaf, transport });
    const neighbourLeaf = await stage.pki.device(`sensor-${transport}-001`, stage.root);
    const neighbour = new Device(stage, { id: `sensor-${transport}-001`, leaf: neighbourLeaf, transport });
    const denyId = `disallow-${transport}`;

    const [assigned, neighbourAssigned] = await Promise.all([target.register(), neighbour.register()]);
    expect(assigned).toMatchObject({ status: 'assigned', deviceId: target.id });
    expect([hubA, hubB]).toContain(assigned.assignedHub);
    const first = await registry<{ generationId: string }>(assigned.assignedHub, 'get', target.id);

    await Promise.all([target.connect(assigned.assignedHub), neighbour.connect(neighbourAssigned.assignedHub)]);
    await Promise.all([target.call('send', { text: 'before' }), neighbour.call('send', { text: 'before' })]);
    if (hasLiveConnection) await twinWorks(target, assigned.assignedHub);

    // A disabled individual enrollment whose id is not the device's, then the identity goes.
    await dps('createOrUpdateIndividualEnrollment', denyOf(denyId, leaf));
    await registry(assigned.assignedHub, 'delete', target.id);
    if (hasLiveConnection) {
      await vi.waitFor(async () => {
        const { disconnects } = await target.call<{ disconnects: unknown[] }>('observed');
        expect(disconnects).not.toHaveLength(0);
      }, 5000);
    } else {
      expect((await target.callFailure('send', { text: 'after' })).name).toMatch(/Unauthorized|NotFound/u);
    }
    await target.call('close');
    expect(JSON.stringify(await target.entryFailure(assigned.assignedHub))).toMatch(/Unauthorized|NotFound/u);

    const refused = await target.registrationFailure();
    expect(refused.result?.status).toBe('disabled');
    expect(refused.result?.registrationState?.status).toBe('disabled');
    expect(refused.result?.registrationState?.assignedHub ?? '').toBe('');

    // The neighbour was never disturbed and can still do everything.
    await neighbour.call('send', { text: 'still here' });
    expect(await neighbour.call('observed')).toMatchObject({ disconnects: [] });
    expect(await neighbour.register()).toMatchObject({ status: 'assigned' });

    await comesBack(target, { denyId, firstGeneration: first.generationId });
    await Promise.all([target.call('close'), neighbour.call('close')]);
  });
});

/** Initial twin, a desired change from the service, a reported change from the device. */
async function twinWorks(device: Device, hub: string): Promise<void> {
  const twin = await device.call<{ desired: { interval: number; $version: number } }>('twin');
  expect(twin.desired).toMatchObject({ interval: 30 });
  await stage.sdks.run('twinUpdate', {
    connectionString: stage.hubConnectionString(hub),
    deviceId: device.id,
    patch: { properties: { desired: { interval: 10 } } },
  });
  await vi.waitFor(async () => {
    const { desired } = await device.call<{ desired: readonly { interval?: number }[] }>('observed');
    expect(desired.some((patch) => patch.interval === 10)).toBe(true);
  }, 5000);
  await device.call('report', { patch: { temperature: 21.5 } });
  const seen = await registry<{ properties: { reported: { temperature: number } }; tags: object }>(hub, 'getTwin', device.id);
  expect(seen).toMatchObject({ tags: { site: 'north' }, properties: { reported: { temperature: 21.5 } } });
}

/** Enabled, the entry itself admits; deleted, the group does; each time with a fresh identity. */
async function comesBack(device: Device, before: { denyId: string; firstGeneration: string }): Promise<void> {
  const entry = await dps<{ etag: string }>('getIndividualEnrollment', before.denyId);
  await dps('createOrUpdateIndividualEnrollment', { ...entry, provisioningStatus: 'enabled' });
  const enabled = await device.register();
  expect(enabled).toMatchObject({ status: 'assigned', deviceId: device.id });
  const second = await registry<{ generationId: string }>(enabled.assignedHub, 'get', device.id);
  expect(second.generationId).not.toBe(before.firstGeneration);

  await registry(enabled.assignedHub, 'delete', device.id);
  await dps('deleteIndividualEnrollment', before.denyId);
  const throughGroup = await device.register();
  expect(throughGroup).toMatchObject({ status: 'assigned', deviceId: device.id });
  const third = await registry<{ generationId: string }>(throughGroup.assignedHub, 'get', device.id);
  expect(third.generationId).not.toBe(second.generationId);
  await device.connect(throughGroup.assignedHub);
  await device.call('send', { text: 'back' });
}

describe.concurrent.each(transportNames)('an intermediate over %s', (transport) => {
  test('its disabled group blocks; once deleted, the group on the root still matches', async () => {
    const intermediate = await stage.pki.intermediate(`Intermediate ${transport}`, stage.root);
    const leaf = await stage.pki.device(`below-${transport}`, intermediate);
    const device = new Device(stage, { id: `below-${transport}`, leaf: chained(leaf, intermediate), transport });
    const id = `intermediate-${transport}`;
    await dps('createOrUpdateEnrollmentGroup', groupOf(id, intermediate));
    expect(await device.register()).toMatchObject({ status: 'assigned' });

    const group = await dps<object>('getEnrollmentGroup', id);
    await dps('createOrUpdateEnrollmentGroup', { ...group, provisioningStatus: 'disabled' });
    expect((await device.registrationFailure()).result?.status).toBe('disabled');

    await dps('deleteEnrollmentGroup', id);
    expect(await device.register()).toMatchObject({ status: 'assigned' });
  });
});

test('a disabled group refuses all its devices with a status, a deleted one with 401002', async () => {
  const root = await stage.pki.root('Another Root');
  const devices = await Promise.all(
    transportNames.map(async (transport) => {
      const id = `fleet-${transport}`;
      return new Device(stage, { id, leaf: await stage.pki.device(id, root), transport });
    }),
  );
  const unknown = await Promise.all(devices.map((device) => device.registrationFailure()));
  expect(unknown.map(saysUnauthorized)).toEqual(devices.map(() => true));

  await dps('createOrUpdateEnrollmentGroup', groupOf('fleet', root));
  const assigned = await Promise.all(devices.map((device) => device.register()));
  expect(assigned.map((result) => result.status)).toEqual(devices.map(() => 'assigned'));

  const group = await dps<object>('getEnrollmentGroup', 'fleet');
  await dps('createOrUpdateEnrollmentGroup', { ...group, provisioningStatus: 'disabled' });
  const disabled = await Promise.all(devices.map((device) => device.registrationFailure()));
  expect(disabled.map((error) => error.result?.status)).toEqual(devices.map(() => 'disabled'));

  await dps('deleteEnrollmentGroup', 'fleet');
  const refused = await Promise.all(devices.map((device) => device.registrationFailure()));
  expect(refused.map(saysUnauthorized)).toEqual(devices.map(() => true));
});

/** Node's transports report the same 401002 as an error's name, message, body or cause, each in its own way. */
const saysUnauthorized = (error: SdkError): boolean => /401002|Unauthorized/u.test(JSON.stringify(error));

test('the records of the group tell which hub each device is on', async () => {
  const leaf = await stage.pki.device('where-am-i', stage.root);
  const assigned = await new Device(stage, { id: 'where-am-i', leaf, transport: 'mqtt' }).register();
  const records = await stage.sdks.run<readonly { registrationId: string; assignedHub: string }[]>('dpsQuery', {
    connectionString: stage.dpsConnectionString,
    method: 'createEnrollmentGroupDeviceRegistrationStateQuery',
    args: [{ query: 'SELECT *' }, 'thermostats', 2],
  });
  expect(records.find((record) => record.registrationId === 'where-am-i')?.assignedHub).toBe(assigned.assignedHub);
});

/** A device file with its chain, for the devices below an intermediate that nobody uploads. */
function chained(leaf: Issued, issuer: Issued): Issued {
  return { ...leaf, certificate: `${leaf.certificate}${issuer.certificate}` };
}
