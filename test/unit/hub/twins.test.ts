import { beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../../../src/kernel/json.ts';
import type { Precondition } from '../../../src/kernel/precondition.ts';
import { FakeSession } from '../../fixtures/fake-session.ts';
import { absent, any, type HubWorld, matching, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

let world: HubWorld;
let session: FakeSession;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  session = new FakeSession();
  await world.hub.devicePlane.openSession(await world.grant('d1'), session);
  return () => world.close();
});

const get = () => world.hub.twins.get('hub', 'd1');
const patch = (body: Json, precondition: Precondition = absent) => world.hub.twins.patch('hub', 'd1', { body, precondition });
const replace = (body: Json, precondition: Precondition = absent) => world.hub.twins.replace('hub', 'd1', { body, precondition });
const desired = (properties: Json) => ({ properties: { desired: properties } });
const now = '2026-06-15T12:00:00.0000000Z';

describe('a new twin', () => {
  test('has the members of the real service in their order', async () => {
    const { etag } = await world.hub.registry.get('hub', 'd1');
    const twin = await get();
    expect(JSON.stringify(twin)).toBe(
      JSON.stringify({
        deviceId: 'd1',
        etag: 'AAAAAAAAAAE=',
        deviceEtag: etag,
        status: 'enabled',
        statusUpdateTime: '0001-01-01T00:00:00Z',
        connectionState: 'Connected',
        lastActivityTime: now,
        cloudToDeviceMessageCount: 0,
        authenticationType: 'sas',
        x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
        version: 2,
        tags: {},
        properties: {
          desired: { $metadata: { $lastUpdated: now }, $version: 1 },
          reported: { $metadata: { $lastUpdated: now }, $version: 1 },
        },
        capabilities: { iotEdge: false },
      }),
    );
  });

  test('of no device is not found', async () => {
    await expect(world.hub.twins.get('hub', 'd2')).rejects.toMatchObject(refusal('DeviceNotFound'));
    await expect(world.hub.twins.patch('hub', 'd2', { body: {}, precondition: any })).rejects.toMatchObject(refusal('DeviceNotFound'));
  });
});

describe('patch', () => {
  test('merges desired, moves its version, the etag and the version by one, and tells the device the patch', async () => {
    await patch(desired({ mode: 'eco', limits: { low: 1, high: 9 } }));
    const twin = await patch(desired({ mode: null, limits: { high: 10 } }));
    expect(twin).toMatchObject({ etag: 'AAAAAAAAAAM=', version: 4 });
    expect(twin.properties.desired).toMatchObject({ limits: { low: 1, high: 10 }, $version: 3 });
    expect(twin.properties.desired).not.toHaveProperty('mode');
    expect(session.notifications).toEqual([
      { mode: 'eco', limits: { low: 1, high: 9 }, $version: 2 },
      { mode: null, limits: { high: 10 }, $version: 3 },
    ]);
    expect(await get()).toEqual(twin);
  });

  test('of tags leaves desired and the device alone', async () => {
    const twin = await patch({ tags: { site: { floor: 1 } } });
    expect(twin).toMatchObject({ tags: { site: { floor: 1 } }, etag: 'AAAAAAAAAAI=', version: 3 });
    expect(twin.properties.desired['$version']).toBe(1);
    expect(session.notifications).toEqual([]);
    expect((await patch({ tags: { site: { floor: null, room: 7 } } })).tags).toEqual({ site: { room: 7 } });
    expect((await patch({ tags: null })).tags).toEqual({});
  });

  test('of nothing answers the twin as it is', async () => {
    const before = await get();
    for (const body of [{}, { tags: {} }, desired({}), { properties: { desired: {}, reported: {} } }, { properties: null }]) {
      expect(await patch(body)).toEqual(before);
    }
    expect(session.notifications).toEqual([]);
  });

  test('passes over what is read-only in a whole twin', async () => {
    const whole = JSON.parse(JSON.stringify(await get())) as { [key: string]: Json };
    const twin = await patch({
      ...whole,
      deviceId: 'somebody else',
      status: 'disabled',
      version: 99,
      properties: { desired: { a: 1, $metadata: { a: { $lastUpdated: 'x' } }, $version: 77 }, reported: { b: 1 } },
    });
    expect(twin).toMatchObject({ deviceId: 'd1', status: 'enabled', version: 3 });
    expect(twin.properties.desired).toMatchObject({ a: 1, $version: 2, $metadata: { a: { $lastUpdated: now, $lastUpdatedVersion: 2 } } });
    expect(twin.properties.reported).not.toHaveProperty('b');
    expect(session.notifications).toEqual([{ a: 1, $version: 2 }]);
  });

  test('null for desired removes all of it, and says so member by member', async () => {
    await patch(desired({ a: 1, b: 2 }));
    const twin = await patch(desired(null));
    expect(Object.keys(twin.properties.desired)).toEqual(['$metadata', '$version']);
    expect(session.notifications.at(-1)).toEqual({ a: null, b: null, $version: 3 });
  });

  test.each([
    [null, 'The twin must be'],
    [[], 'The twin must be'],
    [{ tags: 'red' }, 'tags must be'],
    [{ tags: [] }, 'tags must be'],
    [{ properties: 1 }, 'properties must be'],
    [desired('on'), 'properties.desired must be'],
    [{ tags: { 'a.b': 1 } }, 'The member name "a.b" in tags'],
    [desired({ a: { $x: 1 } }), 'in properties.desired.a'],
    [{ tags: Object.fromEntries(Array.from({ length: 3 }, (_, at) => [`k${at}`, 'x'.repeat(4000)])) }, 'tags would have'],
  ])('%j is refused and changes nothing', async (body, sentence) => {
    const before = await get();
    await expect(patch(body)).rejects.toMatchObject(refusal('ArgumentInvalid', sentence));
    expect(await get()).toEqual(before);
    expect(session.notifications).toEqual([]);
  });
});

describe('replace', () => {
  test('makes tags and desired what the body has, and tells the device all of it', async () => {
    await patch({ tags: { a: 1 }, ...desired({ b: { c: 1 } }) });
    world.clock.advance(1000);
    const twin = await replace({ tags: { d: 2 }, ...desired({ e: 3, f: null }) });
    const stamp = { $lastUpdated: '2026-06-15T12:00:01.0000000Z', $lastUpdatedVersion: 3 };
    expect(twin).toMatchObject({ tags: { d: 2 }, etag: 'AAAAAAAAAAM=', version: 4 });
    expect(twin.properties.desired).toEqual({ e: 3, $metadata: { ...stamp, e: stamp }, $version: 3 });
    expect(session.notifications.at(-1)).toEqual({ e: 3, $version: 3 });
  });

  test('clears the sections that it leaves out, not what the device reported', async () => {
    await world.hub.devicePlane.patchReported(await world.grant('d1'), { r: 1 });
    await patch({ tags: { a: 1 }, ...desired({ b: 1 }) });
    const twin = await replace({});
    expect(twin.tags).toEqual({});
    expect(Object.keys(twin.properties.desired)).toEqual(['$metadata', '$version']);
    expect(twin.properties.reported).toMatchObject({ r: 1 });
  });
});

describe('precondition', () => {
  test.each([
    ['patch', patch],
    ['replace', replace],
  ] as const)('%s with the current etag or a star goes through, with a stale one it does not', async (_, write) => {
    const first = await get();
    const second = await write({ tags: { a: 1 } }, matching(first.etag));
    await expect(write({ tags: { a: 2 } }, matching(first.etag))).rejects.toMatchObject(
      refusal('PreconditionFailed', "ETag mismatch for device ID 'd1'"),
    );
    expect(await get()).toEqual(second);
    expect((await write({ tags: { a: 3 } }, any)).tags).toEqual({ a: 3 });
  });

  test('a report in between is no conflict', async () => {
    const { etag } = await get();
    await world.hub.devicePlane.patchReported(await world.grant('d1'), { r: 1 });
    await patch({ tags: { a: 1 } }, matching(etag));
  });
});

test('writers at once lose nothing', async () => {
  const grant = await world.grant('d1');
  await Promise.all(
    Array.from({ length: 20 }, (_, at) => [
      patch(desired({ [`d${at}`]: at })),
      world.hub.devicePlane.patchReported(grant, { [`r${at}`]: at }),
    ]).flat(),
  );
  const twin = await get();
  expect(Object.keys(twin.properties.desired)).toHaveLength(22);
  expect(Object.keys(twin.properties.reported)).toHaveLength(22);
  expect(twin).toMatchObject({ version: 42, etag: 'AAAAAAAAABU=' });
  expect(session.notifications.map((notification) => notification['$version'])).toEqual(Array.from({ length: 20 }, (_, at) => at + 2));
});

test('a list shows every twin of the hub, page by page', async () => {
  await world.create('d2');
  await world.create('d3');
  const page = await world.hub.twins.list('hub', { limit: 2 });
  expect(page.items.map(({ deviceId }) => deviceId)).toEqual(['d1', 'd2']);
  expect((await world.hub.twins.list('hub', { limit: 2, after: page.next ?? '' })).items.map(({ deviceId }) => deviceId)).toEqual(['d3']);
});
