import { beforeEach, describe, expect, test } from 'vitest';
import type { HubStorage } from '../../../src/hub/ports.ts';
import type { DeviceGrant } from '../../../src/hub/service.ts';
import { createTelemetryIntake } from '../../../src/hub/telemetry-intake.ts';
import { type HubWorld, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

type Store = (grant: DeviceGrant, bodies: readonly Buffer[]) => Promise<void>;

let world: HubWorld;
let grants: Record<'d1' | 'd2', DeviceGrant>;
let writes: number;
let rings: number;
let store: Store;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  await world.create('d2');
  grants = { d1: await world.grant('d1'), d2: await world.grant('d2') };
  writes = 0;
  rings = 0;
  const write: HubStorage['write'] = (work, cause) => {
    writes += 1;
    return world.store.write(work, cause);
  };
  world.bus.listen({ hub: 'hub', about: 'telemetry' }, () => (rings += 1));
  store = intakeOver(write);
  return () => world.close();
});

/** An intake over a store whose writes are these. */
function intakeOver(write: HubStorage['write']): Store {
  const intake = createTelemetryIntake({ ...world, storage: { write, read: world.store.read } });
  return (grant, bodies) => {
    const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
    const { hub, deviceId, generationId } = grant;
    const common = { hub, deviceId, generationId, source: 'Telemetry', authMethod: '{}', systemProperties: {}, applicationProperties: {} };
    return intake.take(grant, { bytes, render: (enqueuedAt) => bodies.map((body) => ({ ...common, enqueuedAt, body })) });
  };
}

const message = (text: string, bytes = text.length): Buffer => Buffer.from(text.padEnd(bytes));
const stored = async () => {
  const rows = await world.store.read.telemetry.read('hub', { after: 0, limit: 10_000 });
  return rows.map(({ deviceId, body }) => `${deviceId}:${Buffer.from(body).toString().trimEnd()}`);
};

describe('messages that arrive together', () => {
  test('are one write, in order of arrival, and ring once', async () => {
    await Promise.all([store(grants.d1, [message('a'), message('b')]), store(grants.d2, [message('c')]), store(grants.d1, [message('d')])]);
    expect(await stored()).toEqual(['d1:a', 'd1:b', 'd2:c', 'd1:d']);
    expect({ writes, rings }).toEqual({ writes: 1, rings: 1 });
    expect(world.bus.lastSeen('hub', 'd2').activeAt).toBe(world.clock.now());
  });

  test('join a write that was asked for and has not begun', async () => {
    const first = store(grants.d1, [message('a')]);
    await Promise.resolve();
    await Promise.all([first, store(grants.d2, [message('b')])]);
    expect(writes).toBe(1);
  });

  test('fail alone when their device may not send', async () => {
    await world.update('d1', { status: 'disabled' });
    const refused = store(grants.d1, [message('a')]);
    const accepted = store(grants.d2, [message('b')]);
    await expect(refused).rejects.toMatchObject(refusal('DeviceDisabled'));
    await accepted;
    expect(await stored()).toEqual(['d2:b']);
    expect(world.bus.lastSeen('hub', 'd1').activeAt).toBeUndefined();
  });

  test('ring nothing when all are refused', async () => {
    await world.update('d1', { status: 'disabled' });
    await expect(store(grants.d1, [message('a')])).rejects.toMatchObject(refusal('DeviceDisabled'));
    expect({ rows: await stored(), rings }).toEqual({ rows: [], rings: 0 });
  });

  test('are divided between writes when there are many, or they are large', async () => {
    const many = Array.from({ length: 300 }, (_, index) => message(String(index)));
    await Promise.all(many.map((one) => store(grants.d1, [one])));
    expect(writes).toBe(2);
    const large = Array.from({ length: 8 }, () => message('large', 250 * 1024));
    await Promise.all(large.map((one) => store(grants.d2, [one])));
    expect(writes).toBe(4);
    expect(await stored()).toEqual([...many.map((one) => `d1:${one.toString()}`), ...large.map(() => 'd2:large')]);
  });
});

test('a store that refuses the write refuses it to all who wait, and the next are stored', async () => {
  let broken = true;
  const write: HubStorage['write'] = (work) => (broken ? Promise.reject(new Error('no write')) : world.store.write(work));
  const intake = intakeOver(write);
  const both = [intake(grants.d1, [message('a')]), intake(grants.d2, [message('b')])];
  expect(await Promise.allSettled(both)).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  broken = false;
  await intake(grants.d1, [message('c')]);
  expect(await stored()).toEqual(['d1:c']);
});

test('nothing is acknowledged when the write fails after its work', async () => {
  const write: HubStorage['write'] = (work) =>
    world.store.write(async (transaction) => {
      await work(transaction);
      throw new Error('undone');
    });
  const intake = intakeOver(write);
  await expect(intake(grants.d1, [message('a')])).rejects.toThrow('undone');
  expect({ rows: await stored(), rings }).toEqual({ rows: [], rings: 0 });
});

test('no more wait than the bound', async () => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const write: HubStorage['write'] = async (work) => {
    await gate;
    return world.store.write(work);
  };
  const intake = intakeOver(write);
  const waiting = Array.from({ length: 20_000 }, () => intake(grants.d1, [message('x')]));
  await expect(intake(grants.d1, [message('y')])).rejects.toMatchObject(refusal('ServerBusy'));
  release();
  await Promise.all(waiting);
});
