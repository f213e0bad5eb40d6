import { beforeEach, describe, expect, test } from 'vitest';
import { createLocalBus } from '../../../src/bus/local.ts';
import { createHub } from '../../../src/hub/hub.ts';
import { minutes, seconds } from '../../../src/kernel/clock.ts';
import { createPresenceLog } from '../../../src/hub/presence-log.ts';
import type { HubStorage, SessionBus } from '../../../src/hub/ports.ts';
import { FakeSession, settle } from '../../fixtures/fake-session.ts';
import { absent, any, type HubWorld, openHubWorld } from '../../fixtures/hub-world.ts';

let world: HubWorld;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  await world.hub.start();
  return async () => {
    await world.hub.close();
    await world.close();
  };
});

/** The same store behind a new service, as after a restart; the old one said nothing more. */
async function restart(bus: SessionBus = createLocalBus(world)) {
  const trust = { trustedCertificates: async () => ({ anchors: [], intermediates: [] }) };
  const hub = createHub({ ...world, storage: world.store, bus, anchors: trust });
  await hub.start();
  const show = async (path = 'd1') => {
    const [deviceId = '', moduleId] = path.split('/');
    const identity = moduleId === undefined ? await hub.registry.get('hub', deviceId) : await hub.modules.get('hub', path);
    const { connectionState, connectionStateUpdatedTime, lastActivityTime } = identity;
    return { connectionState, connectionStateUpdatedTime, lastActivityTime };
  };
  return { hub, show };
}

/** Lets the timers of so long run, and what they began end. */
async function pass(span: number): Promise<void> {
  for (let left = span; left > 0; left -= 1000) {
    world.clock.advance(Math.min(left, 1000));
    for (let turn = 0; turn < 20; turn += 1) await settle();
  }
}

const text = (at: number): string => new Date(at).toISOString().replace('Z', '0000Z');
const never = '0001-01-01T00:00:00';
const enter = async (path = 'd1') => world.hub.devicePlane.openSession(await world.grant(path), new FakeSession());
const send = async () =>
  world.hub.devicePlane.sendTelemetry(await world.grant('d1'), [
    { body: Buffer.from('x'), systemProperties: {}, applicationProperties: {} },
  ]);

describe('after a restart', () => {
  test('a device that never came has no times', async () => {
    expect(await (await restart()).show()).toEqual({
      connectionState: 'Disconnected',
      connectionStateUpdatedTime: never,
      lastActivityTime: never,
    });
  });

  test('one that came and went is known by both moments, a second after', async () => {
    const cameAt = world.clock.now();
    const leave = await enter();
    await pass(seconds(3));
    const leftAt = world.clock.now();
    leave();
    await pass(seconds(1));
    expect(await (await restart()).show()).toEqual({
      connectionState: 'Disconnected',
      connectionStateUpdatedTime: text(leftAt),
      lastActivityTime: text(cameAt),
    });
  });

  test('one that was connected when the service was killed is disconnected since the start', async () => {
    const cameAt = world.clock.now();
    await enter();
    await pass(seconds(30));
    const { show } = await restart();
    expect(await show()).toEqual({
      connectionState: 'Disconnected',
      connectionStateUpdatedTime: text(world.clock.now()),
      lastActivityTime: text(cameAt),
    });
    expect(world.log.named('hub.presence.connections-ended')).toMatchObject([{ identities: 1 }]);
  });

  test('what happens then counts, and the moments that did not change stay', async () => {
    const leave = await enter();
    leave();
    const leftAt = world.clock.now();
    await pass(seconds(2));
    const bus = createLocalBus(world);
    const { show } = await restart(bus);
    await pass(seconds(5));
    bus.touch('hub', 'd1');
    const seen = { connectionState: 'Disconnected', connectionStateUpdatedTime: text(leftAt), lastActivityTime: text(world.clock.now()) };
    expect(await show()).toEqual(seen);
    await pass(seconds(1));
    expect(await (await restart()).show()).toEqual(seen);
  });

  test('after an orderly end nothing is lost, not even the last activity', async () => {
    const leave = await enter();
    await pass(seconds(2));
    await send();
    const at = text(world.clock.now());
    leave();
    await world.hub.close();
    const { hub, show } = await restart();
    expect(await show()).toEqual({ connectionState: 'Disconnected', connectionStateUpdatedTime: at, lastActivityTime: at });
    expect(await hub.twins.get('hub', 'd1')).toMatchObject({ connectionState: 'Disconnected', lastActivityTime: at });
    expect((await hub.registry.list('hub', { limit: 10 })).items).toMatchObject([{ lastActivityTime: at }]);
  });

  test('a module has times of its own', async () => {
    await world.hub.modules.put('hub', 'd1/m1', { body: { deviceId: 'd1', moduleId: 'm1' }, precondition: absent });
    world.bus.join('hub', 'd1/m1', new FakeSession());
    const at = text(world.clock.now());
    await pass(seconds(1));
    const { hub, show } = await restart();
    expect(await show('d1/m1')).toMatchObject({ lastActivityTime: at });
    expect(await show()).toMatchObject({ lastActivityTime: never });
    expect(await hub.twins.get('hub', 'd1/m1')).toMatchObject({ lastActivityTime: at });
  });

  test('one that was removed and made again begins anew', async () => {
    await enter();
    await pass(seconds(1));
    await world.hub.registry.delete('hub', 'd1', any);
    await world.create('d1');
    await pass(seconds(2));
    expect(await (await restart()).show()).toMatchObject({ connectionStateUpdatedTime: never, lastActivityTime: never });
  });
});

describe('writing', () => {
  /** How often presence was written, over a store that does as it is told. */
  function counting(fails: () => boolean = () => false): { readonly storage: HubStorage; readonly puts: number[] } {
    const puts: number[] = [];
    const storage: HubStorage = {
      read: world.store.read,
      write: (work) =>
        world.store.write((transaction) => {
          const put: typeof transaction.presence.put = async (rows) => {
            if (fails()) throw new Error('the disk is full');
            puts.push(rows.length);
            await transaction.presence.put(rows);
          };
          return work({ ...transaction, presence: { ...transaction.presence, put } });
        }),
    };
    return { storage, puts };
  }

  async function openLog(storage: HubStorage) {
    await world.hub.close();
    const presence = createPresenceLog({ ...world, storage });
    await presence.start('alone');
    return presence;
  }

  test('messages cost no write of their own: one a minute, and the last with the end', async () => {
    const { storage, puts } = counting();
    const presence = await openLog(storage);
    for (let second = 0; second < 130; second += 1) {
      world.bus.touch('hub', 'd1');
      await pass(seconds(1));
    }
    expect(puts).toEqual([1, 1, 1]);
    world.bus.touch('hub', 'd1');
    await presence.close();
    expect(puts).toEqual([1, 1, 1, 1]);
    expect(await (await restart()).show()).toMatchObject({ lastActivityTime: text(world.clock.now()) });
  });

  test('nobody there, nothing written', async () => {
    const { storage, puts } = counting();
    const presence = await openLog(storage);
    await pass(minutes(2));
    await presence.close();
    expect(puts).toEqual([]);
  });

  test('a storm is written within its second, a batch at a time', async () => {
    const { storage, puts } = counting();
    const presence = await openLog(storage);
    for (let index = 0; index < 1200; index += 1) world.bus.join('hub', `d${index}`, new FakeSession());
    await pass(seconds(1));
    for (let turn = 0; turn < 200 && puts.length < 3; turn += 1) await settle();
    expect(puts).toEqual([500, 500, 200]);
    await presence.close();
  });

  test('what could not be written is written later, as it is then, and the log says so', async () => {
    let full = true;
    const { storage, puts } = counting(() => full);
    const presence = await openLog(storage);
    const leave = world.bus.join('hub', 'd1', new FakeSession());
    await pass(seconds(3));
    expect(world.log.named('hub.presence.not-written').length).toBeGreaterThan(1);
    leave();
    const leftAt = world.clock.now();
    full = false;
    await pass(seconds(1));
    expect(puts).toEqual([1]);
    expect(await (await restart()).show()).toMatchObject({ connectionStateUpdatedTime: text(leftAt) });
    await presence.close();
  });
});
