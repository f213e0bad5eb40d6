import { afterEach, beforeEach, expect, test } from 'vitest';

import { limits } from '../../../src/contracts/limits.ts';
import { openTelemetryRetention } from '../../../src/hub/telemetry-retention.ts';
import { hours, milliseconds } from '../../../src/kernel/clock.ts';
import { type HubWorld, openHubWorld } from '../../fixtures/hub-world.ts';

const kept = hours(limits.telemetryRetentionHours);

let world: HubWorld;
beforeEach(async () => {
  world = await openHubWorld();
  await world.create('one');
});
afterEach(() => world.close());

const send = async (...bodies: readonly string[]): Promise<void> => {
  const message = (body: string) => ({ body: Buffer.from(body), systemProperties: {}, applicationProperties: {} });
  await world.hub.devicePlane.sendTelemetry(await world.grant('one'), bodies.map(message));
};
const stored = async (): Promise<readonly string[]> =>
  (await world.store.read.telemetry.read('hub', { after: 0, limit: 100_000 })).map(({ body }) => Buffer.from(body).toString());
const open = () => openTelemetryRetention({ storage: world.store, clock: world.clock, log: world.log });

test('telemetry is kept as long as promised, and not for ever', async () => {
  await send('old');
  const retention = open();
  world.clock.advance(milliseconds(kept - hours(1)));
  await send('young');
  await retention.now();
  expect(await stored()).toEqual(['old', 'young']);
  world.clock.advance(hours(1));
  await retention.now();
  world.clock.advance(hours(1));
  await retention.now();
  expect(await stored()).toEqual(['young']);
  await retention.close();
});

test('more than one write should remove goes in several, so that nobody waits long behind it', async () => {
  const many = Array.from({ length: 12_000 }, (_, index) => `${index}`);
  await send(...many);
  world.clock.advance(milliseconds(kept + hours(1)));
  await send('young');
  const retention = open();
  await retention.now();
  expect(await stored()).toEqual(['young']);
  expect(world.log.named('hub.tidied')).toEqual([{ hub: 'hub', messages: many.length }]);
  await retention.close();
});

test('a failure is told to the log, and the next round tries again', async () => {
  let broken = true;
  const storage = {
    read: world.store.read,
    write: <T>(work: Parameters<typeof world.store.write<T>>[0]) => (broken ? Promise.reject(new Error('no')) : world.store.write(work)),
  };
  await send('old');
  world.clock.advance(milliseconds(kept + hours(1)));
  const retention = openTelemetryRetention({ storage, clock: world.clock, log: world.log });
  await retention.now();
  expect(world.log.named('hub.tidy-failed')).toHaveLength(1);
  broken = false;
  world.clock.advance(hours(1));
  await retention.now();
  expect(await stored()).toEqual([]);
  await retention.close();
  expect(world.clock.pending).toBe(0);
});
