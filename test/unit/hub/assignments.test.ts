import { beforeEach, describe, expect, test } from 'vitest';
import { type Assignment, type Assignments, createHubAssignments } from '../../../src/hub/assignments.ts';
import type { HubAssignments } from '../../../src/provisioning/ports.ts';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { absent, type HubWorld, hostOf, openHubWorld, refusal } from '../../fixtures/hub-world.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';

let world: HubWorld;
let bound: ReturnType<typeof createHubAssignments>;

beforeEach(async () => {
  world = await openHubWorld();
  bound = createHubAssignments(world);
  return () => world.close();
});

const key = ecKey();
const [first, second] = [make({ subject: 'd1', key }), make({ subject: 'd1', key })];
const credentialOf = ({ certificate }: typeof first) => ({ type: 'selfSigned', primaryThumbprint: certificate.sha256 }) as const;
const assignment = (change: Partial<Assignment> = {}): Assignment => ({
  hubHostName: hostOf('hub'),
  deviceId: 'd1',
  credential: credentialOf(first),
  iotEdge: false,
  ...change,
});
const step = <T>(work: (assignments: Assignments) => Promise<T>): Promise<T> =>
  world.store.write((transaction) => work(bound(transaction)));
const assign = (change: Partial<Assignment> = {}) => step((assignments) => assignments.assign(assignment(change)));
const identity = (hub = 'hub') => world.hub.registry.get(hub, 'd1');
const present = ({ der }: typeof first) => ({ certificates: [new Uint8Array(der)] });

async function connect(certificate = first, hub = 'hub'): Promise<FakeSession> {
  const session = new FakeSession();
  await world.hub.devicePlane.openSession(await world.authenticate('d1', present(certificate), hub), session);
  return session;
}

test('has the shape that provisioning asks for', () => {
  const joined: (assignments: Assignments) => HubAssignments = (assignments) => assignments;
  expect(joined).toBeTypeOf('function');
});

describe('assign', () => {
  test('makes identity and twin; the same certificate opens the hub', async () => {
    const initialTwin = { tags: { site: 'a' }, properties: { desired: { interval: 5 } } };
    expect(await assign({ initialTwin, iotEdge: true, hubHostName: hostOf('hub').toUpperCase() })).toEqual({ created: true });
    expect(await identity()).toMatchObject({
      status: 'enabled',
      authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: first.certificate.sha256, secondaryThumbprint: null } },
      capabilities: { iotEdge: true },
    });
    const twin = await world.hub.twins.get('hub', 'd1');
    expect(twin).toMatchObject({ tags: { site: 'a' }, version: 2, etag: 'AAAAAAAAAAE=' });
    expect(twin.properties.desired).toMatchObject({ interval: 5, $version: 1, $metadata: { interval: { $lastUpdatedVersion: 1 } } });
    expect(await world.authenticate('d1', present(first))).toMatchObject({ method: 'x509' });
  });

  test('says whose it is: what it made, and what it took over from an operator, came from a registration', async () => {
    const isProvisioned = async (deviceId: string) => (await world.store.read.devices.get('hub', deviceId))?.provisioned;
    await world.hub.registry.put('hub', 'd2', { body: { deviceId: 'd2' }, precondition: absent });
    await assign();
    expect([await isProvisioned('d1'), await isProvisioned('d2')]).toEqual([true, undefined]);
    await assign({ deviceId: 'd2' });
    expect(await isProvisioned('d2')).toBe(true);
    await world.hub.registry.put('hub', 'd2', { body: { deviceId: 'd2', status: 'disabled' }, precondition: { kind: 'any' } });
    expect(await isProvisioned('d2')).toBe(true);
  });

  test('with keys makes a device that signs', async () => {
    const credential = {
      type: 'sas',
      primaryKey: Buffer.alloc(32, 1).toString('base64'),
      secondaryKey: Buffer.alloc(32, 2).toString('base64'),
    } as const;
    await assign({ credential });
    expect(await world.grant('d1')).toMatchObject({ method: 'sas' });
  });

  test('again with the same certificate writes nothing and disturbs nobody', async () => {
    await assign();
    const before = await identity();
    const session = await connect();
    expect(await assign({ initialTwin: { tags: { site: 'b' } } })).toEqual({ created: false });
    await settle();
    expect((await identity()).etag).toBe(before.etag);
    expect(session.cuts).toEqual([]);
    expect((await world.hub.twins.get('hub', 'd1')).tags).toEqual({});
  });

  test('with a new certificate replaces the old one, keeps twin and generation, and cuts who came with the old one', async () => {
    await assign({ initialTwin: { tags: { site: 'a' } } });
    const before = await identity();
    const session = await connect();
    expect(await assign({ credential: credentialOf(second) })).toEqual({ created: false });
    await settle();
    expect(session.cuts).toEqual(['credential-changed']);
    expect(await identity()).toMatchObject({ generationId: before.generationId, connectionState: 'Disconnected' });
    expect((await world.hub.twins.get('hub', 'd1')).tags).toEqual({ site: 'a' });
    await expect(world.authenticate('d1', present(first))).rejects.toMatchObject(refusal('IotHubUnauthorized'));
    await connect(second);
  });

  test('does not enable a disabled identity', async () => {
    await assign();
    await world.update('d1', { status: 'disabled', statusReason: 'stolen' });
    await assign({ credential: credentialOf(second) });
    expect(await identity()).toMatchObject({ status: 'disabled', statusReason: 'stolen' });
    await expect(world.authenticate('d1', present(second))).rejects.toMatchObject(refusal('DeviceDisabled'));
  });

  test('takes over an identity that an operator made with keys', async () => {
    await world.create('d1');
    await assign();
    expect(await identity()).toMatchObject({
      authentication: { type: 'selfSigned', symmetricKey: { primaryKey: null, secondaryKey: null } },
    });
  });

  test('is undone with everything else when the transaction fails', async () => {
    const failing = step(async (assignments) => {
      await assignments.assign(assignment());
      throw new Error('the registration record could not be written');
    });
    await expect(failing).rejects.toThrow('registration record');
    await expect(identity()).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test('to a host that is no hub is refused', async () => {
    await expect(assign({ hubHostName: 'gone.example.org' })).rejects.toMatchObject(refusal('IotHubNotFound', 'gone.example.org'));
  });

  test('with an initial twin that no hub takes is refused', async () => {
    await expect(assign({ initialTwin: { tags: { 'a.b': 1 } } })).rejects.toMatchObject(refusal('ArgumentInvalid'));
  });
});

test('has tells whether the hub has the device', async () => {
  await assign();
  expect(await step((assignments) => assignments.has(hostOf('hub'), 'd1'))).toBe(true);
  expect(await step((assignments) => assignments.has(hostOf('hub'), 'D1'))).toBe(false);
  expect(await step((assignments) => assignments.has(hostOf('other'), 'd1'))).toBe(false);
});

describe('reset', () => {
  const reset = (change: Partial<Assignment> = {}) =>
    step((assignments) => assignments.reset(hostOf('hub'), assignment({ hubHostName: hostOf('other'), ...change })));
  const initialTwin = { tags: { from: 'enrollment' } };

  test('leaves nothing behind, cuts the session, and begins with the initial twin', async () => {
    await assign({ iotEdge: true, initialTwin: { tags: { from: 'before' } } });
    const session = await connect();
    await reset({ initialTwin });
    await settle();
    expect(session.cuts).toEqual(['device-deleted']);
    await expect(identity()).rejects.toMatchObject(refusal('DeviceNotFound'));
    expect(await world.hub.twins.get('other', 'd1')).toMatchObject({ tags: { from: 'enrollment' }, version: 2, etag: 'AAAAAAAAAAE=' });
    expect(await identity('other')).toMatchObject({ status: 'enabled', capabilities: { iotEdge: false } });
  });

  test('does not lift a ban', async () => {
    await assign();
    await world.update('d1', { status: 'disabled', statusReason: 'stolen' });
    await reset();
    expect(await identity('other')).toMatchObject({ status: 'disabled', statusReason: 'stolen' });
  });

  test('onto an identity that is there begins its twin anew, under versions that nobody has seen', async () => {
    await assign();
    await assign({ hubHostName: hostOf('other'), initialTwin: { tags: { from: 'other' } } });
    const before = await world.hub.twins.get('other', 'd1');
    await reset({ initialTwin });
    const after = await world.hub.twins.get('other', 'd1');
    expect(after.tags).toEqual({ from: 'enrollment' });
    expect(after.version).toBeGreaterThan(before.version);
  });

  test('from a hub that never had it is an assignment', async () => {
    await reset({ initialTwin });
    expect(await world.hub.twins.get('other', 'd1')).toMatchObject({ tags: { from: 'enrollment' }, version: 2 });
  });
});

describe('migrate', () => {
  const migrate = (change: Partial<Assignment> = {}) =>
    step((assignments) => assignments.migrate(hostOf('hub'), assignment({ hubHostName: hostOf('other'), ...change })));
  const twin = (hub: string) => world.hub.twins.get(hub, 'd1');

  test('takes the twin along and leaves nothing behind', async () => {
    await assign();
    const session = await connect();
    await world.hub.twins.patch('hub', 'd1', {
      body: { tags: { site: 'a' }, properties: { desired: { interval: 5 } } },
      precondition: absent,
    });
    await world.hub.devicePlane.patchReported(await world.authenticate('d1', present(first)), { firmware: '1.0' });
    const before = await twin('hub');
    await migrate({ initialTwin: { tags: { ignored: true } } });
    await settle();
    expect(session.cuts).toEqual(['device-deleted']);
    await expect(twin('hub')).rejects.toMatchObject(refusal('DeviceNotFound'));
    const after = await twin('other');
    expect(after).toMatchObject({ tags: { site: 'a' }, properties: before.properties });
    expect(after.version).toBeGreaterThan(before.version);
    expect(after.etag).not.toBe(before.etag);
    await connect(first, 'other');
  });

  test('takes the capabilities along', async () => {
    await assign({ iotEdge: true });
    await migrate({ iotEdge: false });
    expect((await identity('other')).capabilities).toEqual({ iotEdge: true });
  });

  test('onto an identity that is there replaces its twin', async () => {
    await assign({ initialTwin: { tags: { from: 'hub' } } });
    await assign({ hubHostName: hostOf('other'), initialTwin: { tags: { from: 'other' } } });
    const { generationId } = await identity('other');
    await migrate({ credential: credentialOf(second) });
    expect(await twin('other')).toMatchObject({ tags: { from: 'hub' } });
    expect(await identity('other')).toMatchObject({ generationId });
    await connect(second, 'other');
  });

  test('does not lift a ban', async () => {
    await assign();
    await world.update('d1', { status: 'disabled', statusReason: 'stolen' });
    const { statusUpdatedTime } = await identity();
    await migrate();
    expect(await identity('other')).toMatchObject({ status: 'disabled', statusReason: 'stolen', statusUpdatedTime });
  });

  test('onto an enabled identity that is connected bans and cuts that, too', async () => {
    await assign();
    await assign({ hubHostName: hostOf('other') });
    const session = await connect(first, 'other');
    await world.update('d1', { status: 'disabled' });
    await migrate();
    await settle();
    expect(session.cuts).toEqual(['device-disabled']);
  });

  test('from a hub that never had it is an assignment', async () => {
    await migrate({ initialTwin: { tags: { site: 'new' } } });
    expect(await twin('other')).toMatchObject({ tags: { site: 'new' }, version: 2 });
  });

  test('from a hub to itself is an assignment', async () => {
    await assign({ initialTwin: { tags: { site: 'a' } } });
    const before = await twin('hub');
    await migrate({ hubHostName: hostOf('hub') });
    expect(await twin('hub')).toEqual(before);
  });
});
