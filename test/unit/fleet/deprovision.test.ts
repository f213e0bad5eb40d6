import { beforeEach, describe, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import type { DeprovisionRequest } from '../../../src/fleet/service.ts';
import { instant, minutes, plus } from '../../../src/kernel/clock.ts';
import { FakeSession } from '../../fixtures/fake-session.ts';
import { ecKey, make, type Made, noon } from '../../fixtures/pki/make-certificate.ts';
import { hostOf, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.link('west');
  await world.putGroup('plant', { attestation: signedBy(root) });
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const other = make({ subject: 'Int', key: ecKey(), issuer: root, ca: true });
const key = ecKey();
const leaf = make({ subject: 'sensor-1', key, issuer: root });
const actor = { by: { kind: 'operator', name: 'operator' } } as const;

const terms = { mode: 'revoke', identity: 'remove', reason: 'stolen' } as const;
const deprovision = (device: string, changes: Partial<DeprovisionRequest> = {}) =>
  world.fleet.deprovision({ ...terms, device, ...changes }, actor);
const statusOf = async (made: Made, sent: readonly Made[] = []): Promise<string> => {
  try {
    return (await world.provision(made, sent)).status;
  } catch {
    return 'refused';
  }
};
const homeOf = async (): Promise<string> => {
  for (const hub of ['east', 'west']) if ((await world.store.read.devices.get(hub, 'sensor-1')) !== undefined) return hub;
  return 'nowhere';
};
const connect = (made: Made, hub: string) =>
  world.hub.devicePlane.authenticate({
    hub,
    deviceId: 'sensor-1',
    credentials: { certificates: [made.der] },
    peer: { transport: 'mqtt', remoteAddress: '192.0.2.1' },
  });

const enterModule = (path: string, hub: string, base64Key: string) => {
  const resource = `${hostOf(hub)}/devices/${path.replace('/', '/modules/')}`;
  const sasToken = createSasToken({ resource, base64Key, expiresAt: plus(world.clock.now(), minutes(5)) });
  return world.hub.devicePlane.authenticate({
    hub,
    deviceId: path,
    credentials: { certificates: [], sasToken },
    peer: { transport: 'mqtt', remoteAddress: '192.0.2.1' },
  });
};

describe('one device', () => {
  test('is refused with a block that has ended already, alone or in a run: it would be told that it is out, and is not', async () => {
    await world.provision(leaf);
    const over = { expiresAt: world.clock.now() };
    expect(await refusalOf(deprovision('sensor-1', over))).toMatchObject({
      error: 'ArgumentInvalid',
      message: expect.stringContaining('ended'),
    });
    expect((await refusalOf(world.fleet.runs.start({ devices: ['sensor-1'] }, { ...terms, ...over }, actor))).error).toBe(
      'ArgumentInvalid',
    );
    expect(await homeOf()).not.toBe('nowhere');
  });

  test.each([
    ['its registration id', () => 'sensor-1'],
    ['its registration id in another case', () => 'SENSOR-1'],
    ['its thumbprint', () => leaf.certificate.sha256.toLowerCase()],
    ['its certificate', () => leaf.pem],
  ])('found by %s, is out at every door, and its session with it', async (_name, asked) => {
    await world.provision(leaf);
    const home = await homeOf();
    const session = new FakeSession();
    await world.hub.devicePlane.openSession(await connect(leaf, home), session);
    const receipt = await deprovision(asked());

    expect(receipt.device).toBe('sensor-1');
    expect(receipt.steps.map(({ what }) => what)).toEqual(['block-written', 'identity-removed', 'record-closed']);
    expect(receipt.found).toMatchObject({
      certificate: { sha256: leaf.certificate.sha256 },
      enrollments: [{ kind: 'group', id: 'plant' }],
      identities: [{ hub: home, connected: true }],
    });
    expect(receipt.timeToRevoke).toEqual({
      committedAt: receipt.at,
      sessions: 1,
      milliseconds: 0,
      perTransport: [{ transport: 'mqtt', sessions: 1, milliseconds: 0 }],
    });
    expect(session.cuts).toEqual(['device-deleted']);
    expect(await homeOf()).toBe('nowhere');
    expect(await statusOf(leaf)).toBe('disabled');
    expect((await world.provisioning.records.get('dps', 'sensor-1')).status).toBe('disabled');
    expect(receipt.proof?.every(({ verdict }) => verdict === 'refused')).toBe(true);
    expect(new Set(receipt.proof?.map(({ side, name }) => `${side} ${name}`))).toEqual(
      new Set(['provisioning dps', 'hub east', 'hub west']),
    );
    expect(await world.fleet.receipts.get(receipt.id ?? '')).toEqual(receipt);
  });

  test('again, it is the same receipt, and nothing is written', async () => {
    await world.provision(leaf);
    const first = await deprovision('sensor-1');
    const again = await deprovision('sensor-1', { reason: 'stolen twice' });
    expect(again).toEqual({ ...first, alreadyDone: true });
    expect((await world.fleet.blocks.list({ limit: 9 })).items).toHaveLength(1);
    expect(await world.fleet.receipts.list({ limit: 9 })).toHaveLength(1);
  });

  test('that came back by hand is put out again, by what is missing only', async () => {
    await world.provision(leaf);
    await deprovision('sensor-1');
    await world.hub.registry.put('east', 'sensor-1', { body: { deviceId: 'sensor-1' }, precondition: { kind: 'absent' } });
    const again = await deprovision('sensor-1');
    expect(again.steps.map(({ what }) => what)).toEqual(['identity-removed']);
    expect(again.alreadyDone).toBeUndefined();
  });

  test('a dry run says the same and writes nothing', async () => {
    await world.provision(leaf);
    const session = new FakeSession();
    await world.hub.devicePlane.openSession(await connect(leaf, await homeOf()), session);
    const dry = await deprovision('sensor-1', { dryRun: true });
    expect(dry.steps.map(({ what }) => what)).toEqual(['block-written', 'identity-removed', 'record-closed']);
    expect([dry.id, dry.dryRun, dry.timeToRevoke]).toEqual([undefined, true, undefined]);
    expect(session.cuts).toEqual([]);
    expect((await world.fleet.blocks.list({ limit: 9 })).items).toEqual([]);
    expect(await world.fleet.receipts.list({ limit: 9 })).toEqual([]);
    expect(await statusOf(leaf)).toBe('assigned');
  });

  test('that nobody knows is not found; its certificate can be blocked all the same', async () => {
    expect((await refusalOf(deprovision('sensor-9'))).error).toBe('ResourceNotFound');
    expect((await deprovision('sensor-9', { evenIfUnknown: true })).steps).toHaveLength(1);
    await deprovision(leaf.pem);
    expect(await statusOf(leaf)).toBe('disabled');
    expect((await world.store.read.registrations.get('dps', 'sensor-1'))?.status).toBeUndefined();
  });

  test('keeping or disabling the identity: the hub refuses it, and a session that is covered ends', async () => {
    for (const identity of ['keep', 'disable'] as const) {
      await world.provision(leaf);
      const home = await homeOf();
      const session = new FakeSession();
      await world.hub.devicePlane.openSession(await connect(leaf, home), session);
      await deprovision('sensor-1', { identity });
      expect(session.cuts).toEqual(['device-disabled']);
      expect((await refusalOf(connect(leaf, home))).error).toBe('DeviceDisabled');
      expect((await world.store.read.devices.get(home, 'sensor-1'))?.status).toBe(identity === 'keep' ? 'enabled' : 'disabled');
      await world.fleet.reinstate({ device: 'sensor-1' }, actor);
      expect((await connect(leaf, home)).deviceId).toBe('sensor-1');
    }
  });

  test.each(['remove', 'disable'] as const)('its modules go with it (%s), and come back with it', async (identity) => {
    await world.provision(leaf);
    const home = await homeOf();
    const path = 'sensor-1/filter';
    const created = await world.hub.modules.put(home, path, { body: {}, precondition: { kind: 'absent' } });
    await world.hub.twins.patch(home, path, { body: { properties: { desired: { a: 1 } } }, precondition: { kind: 'any' } });
    const grant = await enterModule(path, home, created.authentication.symmetricKey.primaryKey ?? '');
    const session = new FakeSession();
    await world.hub.devicePlane.openSession(grant, session);

    const receipt = await deprovision('sensor-1', { identity });
    expect(session.cuts).toEqual([identity === 'remove' ? 'device-deleted' : 'device-disabled']);
    const doors = receipt.proof?.filter(({ credential }) => credential === `the key of ${path}`) ?? [];
    expect(new Set(doors.map(({ verdict }) => verdict))).toEqual(new Set(identity === 'remove' ? [] : ['refused']));
    await refusalOf(enterModule(path, home, created.authentication.symmetricKey.primaryKey ?? ''));

    await world.fleet.reinstate({ device: 'sensor-1' }, actor);
    expect(await enterModule(path, home, created.authentication.symmetricKey.primaryKey ?? '')).toMatchObject({ deviceId: path });
    expect((await world.hub.twins.get(home, path)).properties.desired).toMatchObject({ a: 1 });
    const { decisions } = await world.fleet.explain({ subject: 'sensor-1' });
    expect(decisions).toContainEqual(expect.objectContaining({ side: 'hub', name: home, id: path, verdict: 'let-in' }));
  });

  test('a block ends at its moment', async () => {
    await world.provision(leaf);
    await deprovision('sensor-1', { expiresAt: plus(instant(noon), minutes(10)) });
    expect(await statusOf(leaf)).toBe('disabled');
    world.clock.advance(minutes(10));
    expect(await statusOf(leaf)).toBe('assigned');
  });

  test('retiring erases the twin and the telemetry, and says that they do not come back', async () => {
    await world.provision(leaf);
    const home = await homeOf();
    const grant = await connect(leaf, home);
    await world.hub.devicePlane.patchReported(grant, { secret: 1 });
    await world.hub.devicePlane.sendTelemetry(grant, [{ body: new Uint8Array([1]), systemProperties: {}, applicationProperties: {} }]);
    const receipt = await deprovision('sensor-1', { mode: 'retire' });
    expect(receipt.steps.map(({ what }) => what)).toEqual([
      'block-written',
      'identity-removed',
      'twin-erased',
      'telemetry-erased',
      'record-closed',
    ]);
    expect(await world.store.read.telemetry.read(home, { after: 0, limit: 9 })).toEqual([]);
    expect(JSON.stringify(await world.store.read.receipts.get(receipt.id ?? ''))).not.toContain('secret');
    await world.fleet.reinstate({ device: 'sensor-1' }, actor);
    expect(await homeOf()).toBe('nowhere');
    expect(await statusOf(leaf)).toBe('assigned');
  });
});

describe('reinstating', () => {
  test('puts back identity, twin and record as they were, and lifts the block', async () => {
    await world.provision(leaf);
    const home = await homeOf();
    await world.hub.devicePlane.patchReported(await connect(leaf, home), { temperature: 7 });
    const before = {
      device: await world.store.read.devices.get(home, 'sensor-1'),
      twin: await world.store.read.twins.get(home, 'sensor-1'),
      record: await world.provisioning.records.get('dps', 'sensor-1'),
    };
    const out = await deprovision('sensor-1');
    const back = await world.fleet.reinstate({ device: out.id ?? '' }, actor);
    expect(back.steps.map(({ what }) => what)).toEqual(['block-lifted', 'identity-restored', 'record-restored']);
    expect({
      device: await world.store.read.devices.get(home, 'sensor-1'),
      twin: await world.store.read.twins.get(home, 'sensor-1'),
      record: await world.provisioning.records.get('dps', 'sensor-1'),
    }).toEqual({ ...before, record: { ...before.record, etag: expect.any(String), lastUpdatedDateTimeUtc: expect.any(String) } });
    expect((await connect(leaf, home)).deviceId).toBe('sensor-1');
    expect((await world.fleet.receipts.get(out.id ?? '')).undoneBy).toBe(back.id);
    expect((await refusalOf(world.fleet.reinstate({ device: 'sensor-1' }, actor))).error).toBe('ResourceNotFound');
  });

  test('leaves alone what was made anew meanwhile', async () => {
    await world.provision(leaf);
    const home = await homeOf();
    await deprovision('sensor-1');
    const made = await world.hub.registry.put(home, 'sensor-1', { body: { deviceId: 'sensor-1' }, precondition: { kind: 'absent' } });
    const back = await world.fleet.reinstate({ device: 'sensor-1' }, actor);
    expect(back.steps.map(({ what }) => what)).toEqual(['block-lifted', 'left-alone', 'record-restored']);
    expect((await world.hub.registry.get(home, 'sensor-1')).generationId).toBe(made.generationId);
  });

  test('once: one registration gets through, its poll and its connection, and no second one', async () => {
    await world.provision(leaf);
    await deprovision('sensor-1');
    const until = plus(world.clock.now(), minutes(5));
    await world.fleet.reinstate({ device: 'sensor-1', onceUntil: until }, actor);
    expect(await statusOf(leaf)).toBe('assigned');
    const home = await homeOf();
    expect((await connect(leaf, home)).deviceId).toBe('sensor-1');
    expect(await statusOf(leaf)).toBe('disabled');
    expect((await connect(leaf, home)).deviceId).toBe('sensor-1');
    const again = await deprovision('sensor-1');
    expect(again.steps.map(({ what }) => what)).toContain('block-written');
    expect(await statusOf(leaf)).toBe('disabled');
  });

  test('once, but too late', async () => {
    await world.provision(leaf);
    await deprovision('sensor-1');
    await world.fleet.reinstate({ device: 'sensor-1', onceUntil: plus(world.clock.now(), minutes(5)) }, actor);
    world.clock.advance(minutes(5));
    expect(await statusOf(leaf)).toBe('disabled');
    const late = world.fleet.reinstate({ device: 'sensor-1', onceUntil: world.clock.now() }, actor);
    expect((await refusalOf(late)).error).toBe('ArgumentInvalid');
  });
});

describe('a certificate that is issued again', () => {
  const sameKey = make({ subject: 'sensor-1', key, issuer: root });
  const newKey = make({ subject: 'sensor-1', key: ecKey(), issuer: root });
  const elsewhere = make({ subject: 'sensor-1', key, issuer: other });
  const certificates = { itself: leaf, sameKey, newKey, elsewhere };

  test.each([
    ['leaf', { itself: 'disabled', sameKey: 'assigned', newKey: 'assigned', elsewhere: 'assigned' }],
    ['serial', { itself: 'disabled', sameKey: 'assigned', newKey: 'assigned', elsewhere: 'assigned' }],
    ['key', { itself: 'disabled', sameKey: 'disabled', newKey: 'assigned', elsewhere: 'disabled' }],
    ['subject', { itself: 'disabled', sameKey: 'disabled', newKey: 'disabled', elsewhere: 'disabled' }],
    ['id', { itself: 'disabled', sameKey: 'disabled', newKey: 'disabled', elsewhere: 'disabled' }],
  ] as const)('blocked by %s', async (by, expected) => {
    await world.provision(leaf);
    await deprovision('sensor-1', { by: [by] });
    for (const [name, made] of Object.entries(certificates)) {
      expect([name, await statusOf(made, made === elsewhere ? [other] : [])]).toEqual([name, expected[name as keyof typeof expected]]);
    }
  });

  test('the proof says so before anybody tries', async () => {
    await world.provision(leaf);
    const { proof = [] } = await deprovision('sensor-1', { by: ['key'] });
    const at = (credential: string) =>
      proof
        .filter((door) => door.side === 'provisioning' && door.credential === credential)
        .map(({ verdict, transport }) => `${transport} ${verdict}`);
    expect(at('its certificate')).toEqual(['https', 'mqtt', 'mqtt-ws', 'amqp', 'amqp-ws'].map((transport) => `${transport} refused`));
    expect(at('renewed, same key').every((text) => text.endsWith('refused'))).toBe(true);
    expect(at('renewed, new key').every((text) => text.endsWith('let-in'))).toBe(true);
  });
});

test('a key that a neighbour has, too, is not named, so that the neighbour goes on; by key, it is said that it does not', async () => {
  const twin = make({ subject: 'sensor-2', key, issuer: root });
  await world.provision(leaf);
  await world.provision(twin);
  const out = await deprovision('sensor-1');
  expect(out.block?.selectors.map(({ kind }) => kind)).toEqual(['registrationId', 'deviceId', 'leaf']);
  expect(out.steps.find(({ what }) => what === 'key-shared')?.sentence).toContain('sensor-2');
  expect([await statusOf(leaf), await statusOf(twin)]).toEqual(['disabled', 'assigned']);
  await world.fleet.reinstate({ device: 'sensor-1' }, actor);
  const both = await deprovision('sensor-1', { by: ['key'] });
  expect(both.steps.find(({ what }) => what === 'key-shared')?.sentence).toContain('shuts them out');
  expect(await statusOf(twin)).toBe('disabled');
});

test('a stranger who claims a blocked id is refused, and leaves no mark on the record', async () => {
  await world.provision(leaf);
  await deprovision('sensor-1');
  await world.fleet.reinstate({ device: 'sensor-1' }, actor);
  await world.fleet.blocks.create({ selectors: [{ kind: 'registrationId', value: 'sensor-1' }], reason: 'x' }, actor);
  const stranger = make({ subject: 'sensor-1', key: ecKey() });
  expect(await statusOf(stranger)).toBe('disabled');
  expect((await world.provisioning.records.get('dps', 'sensor-1')).status).toBe('assigned');
});

test('the disabled individual enrollment of the exercise goes on as it was', async () => {
  await world.provision(leaf);
  await world.putIndividual('disallow-1', {
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.pem } } } },
    provisioningStatus: 'disabled',
  });
  expect(await statusOf(leaf)).toBe('disabled');
});
