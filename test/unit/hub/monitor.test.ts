import { beforeEach, describe, expect, test } from 'vitest';
import { createMonitor } from '../../../src/hub/monitor.ts';
import type { HubStorage } from '../../../src/hub/ports.ts';
import type { DeviceGrant, MonitoredEvent } from '../../../src/hub/service.ts';
import { settle } from '../../fixtures/fake-session.ts';
import { type HubWorld, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

let world: HubWorld;
let grants: Record<'d1' | 'd2', DeviceGrant>;
let aborter: AbortController;

beforeEach(async () => {
  world = await openHubWorld();
  aborter = new AbortController();
  await world.create('d1');
  await world.create('d2');
  grants = { d1: await world.grant('d1'), d2: await world.grant('d2') };
  return () => world.close();
});

const send = (from: 'd1' | 'd2', ...texts: readonly string[]) =>
  world.hub.devicePlane.sendTelemetry(
    grants[from],
    texts.map((text) => ({ body: Buffer.from(text), systemProperties: {}, applicationProperties: {} })),
  );
const follow = (options: { readonly after?: number; readonly deviceId?: string } = {}) =>
  world.hub.monitor.follow('hub', { ...options, signal: aborter.signal });

/** Reads until there are `count` events, then lets go. */
async function take(events: AsyncIterable<MonitoredEvent>, count: number): Promise<readonly string[]> {
  const taken: string[] = [];
  for await (const { body } of events) {
    taken.push(Buffer.from(body).toString());
    if (taken.length === count) break;
  }
  return taken;
}

describe('follow', () => {
  test('reads what is stored, page after page, in order', async () => {
    const texts = Array.from({ length: 250 }, (_, at) => String(at));
    await send('d1', ...texts);
    expect(await take(follow({ after: 0 }), 250)).toEqual(texts);
  });

  test('goes on with what comes', async () => {
    await send('d1', 'stored');
    const reading = take(follow({ after: 0 }), 3);
    await settle();
    await send('d1', 'live');
    await send('d2', 'more');
    expect(await reading).toEqual(['stored', 'live', 'more']);
  });

  test('without a position it begins with what comes', async () => {
    await send('d1', 'old');
    const reading = take(follow(), 1);
    await settle();
    await send('d1', 'new');
    expect(await reading).toEqual(['new']);
  });

  test('after a sequence number it begins behind it', async () => {
    await send('d1', 'a', 'b', 'c');
    const [event] = await world.store.read.telemetry.read('hub', { after: 0, limit: 1 });
    expect(await take(follow({ after: event?.sequenceNumber ?? 0 }), 2)).toEqual(['b', 'c']);
  });

  test('of one device leaves the others out', async () => {
    const reading = take(follow({ deviceId: 'd2', after: 0 }), 2);
    for (const text of ['a', 'b']) {
      await send('d1', `not ${text}`);
      await send('d2', text);
    }
    expect(await reading).toEqual(['a', 'b']);
  });

  test('loses nothing that is stored while it reads', async () => {
    const reading = take(follow({ after: 0 }), 300);
    const sending = Promise.all(Array.from({ length: 300 }, (_, at) => send('d1', String(at))));
    expect(await reading).toEqual(Array.from({ length: 300 }, (_, at) => String(at)));
    await sending;
  });

  test('ends when it is aborted: waiting, before it began, and between two events', async () => {
    const waiting = take(follow(), 1);
    await settle();
    aborter.abort();
    expect(await waiting).toEqual([]);
    expect(await take(follow({ after: 0 }), 1)).toEqual([]);

    aborter = new AbortController();
    await send('d1', 'a', 'b');
    const events = follow({ after: 0 })[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ done: false });
    aborter.abort();
    expect(await events.next()).toMatchObject({ done: true });
  });

  test('of no hub is refused', async () => {
    const events = world.hub.monitor.follow('nowhere', { signal: aborter.signal });
    await expect(take(events, 1)).rejects.toMatchObject(refusal('IotHubNotFound'));
  });
});

describe('a reader', () => {
  /** A monitor over a store that notes where each read began. */
  function counting() {
    const starts: number[] = [];
    const read: HubStorage['read']['telemetry']['read'] = (hub, query) => {
      starts.push(query.after);
      return world.store.read.telemetry.read(hub, query);
    };
    const telemetry = Object.create(world.store.read.telemetry, { read: { value: read } }) as HubStorage['read']['telemetry'];
    const storage: HubStorage = { write: (work) => world.store.write(work), read: { ...world.store.read, telemetry } };
    return { monitor: createMonitor({ storage, bus: world.bus }), reads: () => starts.length, starts };
  }

  test('that has read everything waits without reading', async () => {
    const { monitor, reads } = counting();
    const reading = take(monitor.follow('hub', { signal: aborter.signal }), 1);
    for (let turn = 0; turn < 50; turn += 1) await settle();
    expect(reads()).toBe(1);
    await send('d1', 'now');
    expect(await reading).toEqual(['now']);
    expect(reads()).toBe(2);
  });

  test('of one device does not look through the events of others again', async () => {
    const { monitor, starts } = counting();
    const reading = take(monitor.follow('hub', { after: 0, deviceId: 'd2', signal: aborter.signal }), 1);
    await settle();
    await send('d1', 'a', 'b', 'c');
    await settle();
    await settle();
    await send('d2', 'mine');
    expect(await reading).toEqual(['mine']);
    const [event] = await world.store.read.telemetry.read('hub', { after: 0, limit: 1, deviceId: 'd2' });
    expect(starts.at(-1)).toBe((event?.sequenceNumber ?? 0) - 1);
  });

  test('that lets go is forgotten by the bus', async () => {
    const { monitor, reads } = counting();
    const reading = take(monitor.follow('hub', { signal: aborter.signal }), 1);
    await settle();
    await send('d1', 'one');
    await reading;
    const before = reads();
    await send('d1', 'two');
    await settle();
    expect(reads()).toBe(before);
  });
});
