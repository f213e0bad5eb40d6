import { beforeEach, describe, expect, test } from 'vitest';
import { createHub } from '../../../src/hub/hub.ts';
import type { HubStorage } from '../../../src/hub/ports.ts';
import type { DeviceGrant } from '../../../src/hub/service.ts';
import { hours, minutes, plus } from '../../../src/kernel/clock.ts';
import { FakeSession } from '../../fixtures/fake-session.ts';
import { absent, type HubWorld, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

let world: HubWorld;
let grant: DeviceGrant;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  grant = await world.grant('d1');
  return () => world.close();
});

const plane = () => world.hub.devicePlane;
const message = (text: string) => ({ body: Buffer.from(text), systemProperties: {}, applicationProperties: {} });
const stored = () => world.store.read.telemetry.read('hub', { after: 0, limit: 100 });
const otherKey = { authentication: { symmetricKey: { primaryKey: Buffer.alloc(32, 5).toString('base64') } } };
const unauthorized = refusal('IotHubUnauthorized');

/** What may happen to an identity between a proof and its use. */
const changes: readonly (readonly [string, () => Promise<unknown>, object])[] = [
  ['disabled', () => world.update('d1', { status: 'disabled' }), refusal('DeviceDisabled')],
  ['deleted', () => world.hub.registry.delete('hub', 'd1', absent), refusal('DeviceNotFound')],
  [
    'deleted and created again',
    async () => {
      await world.hub.registry.delete('hub', 'd1', absent);
      await world.create('d1');
    },
    refusal('DeviceNotFound'),
  ],
  ['given another key', () => world.update('d1', otherKey), unauthorized],
];

describe('a grant whose identity was since', () => {
  test.each(changes)('%s opens no session', async (_, change, error) => {
    await change();
    const session = new FakeSession();
    await expect(plane().openSession(grant, session)).rejects.toMatchObject(error);
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
    expect(world.clock.pending).toBe(0);
  });

  test.each(changes)('%s stores no telemetry', async (_, change, error) => {
    await change();
    await expect(plane().sendTelemetry(grant, [message('late')])).rejects.toMatchObject(error);
    expect(await stored()).toEqual([]);
  });

  test.each(changes)('%s reads no twin', async (_, change, error) => {
    await change();
    await expect(plane().getTwin(grant)).rejects.toMatchObject(error);
  });

  test.each(changes)('%s reports nothing', async (_, change, error) => {
    await change();
    await expect(plane().patchReported(grant, { late: true })).rejects.toMatchObject(error);
  });
});

test('a grant that nobody made here opens nothing', async () => {
  const { credentialStamps: _, ...forged } = grant;
  await expect(plane().openSession(forged, new FakeSession())).rejects.toMatchObject(unauthorized);
});

describe('an identity that is disabled while its session opens', () => {
  /** The device plane over a store that lets the identity be disabled before or after it is looked up. */
  function racing(moment: 'before' | 'after') {
    const get = async (hub: string, deviceId: string) => {
      if (moment === 'before') await world.update('d1', { status: 'disabled' });
      const device = await world.store.read.devices.get(hub, deviceId);
      if (moment === 'after') await world.update('d1', { status: 'disabled' });
      return device;
    };
    const devices = Object.create(world.store.read.devices, { get: { value: get } }) as HubStorage['read']['devices'];
    const storage: HubStorage = { write: (work) => world.store.write(work), read: { ...world.store.read, devices } };
    return createHub({ ...world, storage, anchors: { trustedCertificates: () => Promise.resolve({ anchors: [], intermediates: [] }) } })
      .devicePlane;
  }

  test('between joining and looking is refused', async () => {
    const session = new FakeSession();
    await expect(racing('before').openSession(grant, session)).rejects.toMatchObject(refusal('DeviceDisabled'));
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
  });

  test('after looking is cut', async () => {
    const session = new FakeSession();
    await racing('after').openSession(grant, session);
    expect(session.cuts).toEqual(['device-disabled']);
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
  });
});

describe('session', () => {
  test('is connected until it leaves', async () => {
    const leave = await plane().openSession(grant, new FakeSession());
    expect(world.bus.isConnected('hub', 'd1')).toBe(true);
    leave();
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
    expect(world.clock.pending).toBe(0);
  });

  test('a second one takes the first over', async () => {
    const older = new FakeSession();
    await plane().openSession(grant, older);
    await plane().openSession(grant, new FakeSession());
    expect(older.cuts).toEqual(['taken-over']);
  });

  test('ends with its token', async () => {
    const session = new FakeSession();
    await plane().openSession(grant, session);
    world.clock.advance(hours(1) - 1);
    expect(session.cuts).toEqual([]);
    world.clock.advance(1);
    expect(session.cuts).toEqual(['token-expired']);
  });

  test('is not opened with a token that ended since', async () => {
    world.clock.advance(hours(1));
    await expect(plane().openSession(grant, new FakeSession())).rejects.toMatchObject(unauthorized);
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
  });

  test('goes on with a renewed token; leaving by the old way does nothing', async () => {
    const session = new FakeSession();
    const leaveOld = await plane().openSession(grant, session);
    world.clock.advance(minutes(50));
    const leave = await plane().openSession(await world.grant('d1'), session);
    leaveOld();
    world.clock.advance(minutes(59));
    expect(session.cuts).toEqual([]);
    expect(world.bus.isConnected('hub', 'd1')).toBe(true);
    world.clock.advance(minutes(1));
    expect(session.cuts).toEqual(['token-expired']);
    leave();
    expect(world.bus.isConnected('hub', 'd1')).toBe(false);
  });

  test('a renewal that is refused leaves the session with what it had', async () => {
    const session = new FakeSession();
    await plane().openSession(grant, session);
    const { credentialStamps: _, ...forged } = await world.grant('d1');
    await expect(plane().openSession(forged, session)).rejects.toMatchObject(unauthorized);
    expect(world.bus.isConnected('hub', 'd1')).toBe(true);
    world.clock.advance(hours(1));
    expect(session.cuts).toEqual(['token-expired']);
  });
});

describe('telemetry', () => {
  test('is stored with who sent it, when and how, and announced after', async () => {
    const announced: number[] = [];
    world.bus.listen({ hub: 'hub', about: 'telemetry' }, () => announced.push(world.clock.now()));
    const sent = {
      body: Buffer.from('{"t":21}'),
      systemProperties: { 'content-type': 'application/json' },
      applicationProperties: { room: 'a' },
    };
    await plane().sendTelemetry(grant, [sent, message('second')]);
    expect(announced).toEqual([world.clock.now()]);
    const [first, second] = await stored();
    expect(first).toMatchObject({
      hub: 'hub',
      deviceId: 'd1',
      generationId: grant.generationId,
      enqueuedAt: world.clock.now(),
      source: 'Telemetry',
      authMethod: '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
      systemProperties: { 'content-type': 'application/json' },
      applicationProperties: { room: 'a' },
    });
    expect([first, second].map((row) => Buffer.from(row?.body ?? []).toString())).toEqual(['{"t":21}', 'second']);
    expect((await world.hub.registry.get('hub', 'd1')).lastActivityTime).toBe('2026-06-15T12:00:00.0000000Z');
  });

  test('keeps the order of many writers at once', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, at) => plane().sendTelemetry(grant, [message(String(at))])));
    const bodies = (await stored()).map(({ body }) => Number(Buffer.from(body).toString()));
    expect(bodies).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });

  test('an empty batch is nothing', async () => {
    await plane().sendTelemetry(grant, []);
    expect(await stored()).toEqual([]);
  });

  test('above the limit is refused', async () => {
    const batch = [
      { ...message(''), body: Buffer.alloc(200 * 1024) },
      { ...message(''), body: Buffer.alloc(56 * 1024 + 1) },
    ];
    await expect(plane().sendTelemetry(grant, batch)).rejects.toMatchObject(refusal('MessageTooLarge'));
    expect(await stored()).toEqual([]);
  });

  test('with a policy token says so', async () => {
    const byPolicy = await world.authenticate('d1', {
      sasToken: await world.policyToken('device', { expiresAt: plus(world.clock.now(), hours(2)) }),
    });
    await plane().sendTelemetry(byPolicy, [message('x')]);
    expect((await stored())[0]?.authMethod).toContain('"scope":"hub"');
  });
});

describe('twin', () => {
  test('is seen without metadata', async () => {
    expect(await plane().getTwin(grant)).toEqual({ desired: { $version: 1 }, reported: { $version: 1 } });
  });

  test('reports move the section and the twin, not the etag', async () => {
    const before = await world.hub.twins.get('hub', 'd1');
    world.clock.advance(1000);
    expect(await plane().patchReported(grant, { firmware: { version: '1.0' } })).toBe(2);
    expect(await plane().patchReported(grant, { firmware: { version: null, slot: 'b' } })).toBe(3);
    const after = await world.hub.twins.get('hub', 'd1');
    const stamp = { $lastUpdated: '2026-06-15T12:00:01.0000000Z' };
    expect(after).toMatchObject({ etag: before.etag, version: before.version + 2 });
    expect(after.properties.reported).toEqual({
      firmware: { slot: 'b' },
      $metadata: { ...stamp, firmware: { ...stamp, slot: stamp } },
      $version: 3,
    });
    expect(await plane().getTwin(grant)).toEqual({ desired: { $version: 1 }, reported: { firmware: { slot: 'b' }, $version: 3 } });
  });

  test('a report of nothing is answered with the version as it is', async () => {
    expect(await plane().patchReported(grant, {})).toBe(1);
    expect(await plane().patchReported(grant, { $version: 9, $metadata: {} })).toBe(1);
  });

  test('a report may ask for the version it knows', async () => {
    expect(await plane().patchReported(grant, { a: 1 }, 1)).toBe(2);
    await expect(plane().patchReported(grant, { a: 2 }, 1)).rejects.toMatchObject(refusal('PreconditionFailed', 'version 2, not 1'));
  });

  test('reports beyond the limits are refused and change nothing', async () => {
    const chunk = 'x'.repeat(4000);
    await plane().patchReported(grant, Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`k${at}`, chunk])));
    await expect(plane().patchReported(grant, { last: chunk })).rejects.toMatchObject(
      refusal('ArgumentInvalid', 'properties.reported would have'),
    );
    await expect(plane().patchReported(grant, { 'a.b': 1 })).rejects.toMatchObject(refusal('ArgumentInvalid', 'must not have'));
    for (const patch of [null, [], 'x', 3])
      await expect(plane().patchReported(grant, patch)).rejects.toMatchObject(refusal('ArgumentInvalid', 'must be a JSON object'));
    expect((await world.hub.twins.get('hub', 'd1')).properties.reported['$version']).toBe(2);
  });

  test('many reports at once are all there', async () => {
    const versions = await Promise.all(Array.from({ length: 20 }, (_, at) => plane().patchReported(grant, { [`k${at}`]: at })));
    expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, at) => at + 2));
    expect(Object.keys((await plane().getTwin(grant)).reported)).toHaveLength(21);
  });
});
