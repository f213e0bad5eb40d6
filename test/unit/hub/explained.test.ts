import { beforeEach, expect, test } from 'vitest';
import type { DeviceGrant } from '../../../src/hub/service.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { FakeSink } from '../../fixtures/fake-sink.ts';
import { type HubWorld, openHubWorld } from '../../fixtures/hub-world.ts';

let world: HubWorld;
let grant: DeviceGrant;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  grant = await world.grant('d1');
  return () => world.close();
});

const messages = () => world.hub.deviceMessages;
const lost = async (): Promise<unknown> => await world.update('d1', { status: 'disabled' });

/** Every operation of a device that was let in. */
const operations: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['receiving a message', () => messages().receive(grant)],
  ['settling a message', () => messages().settle(grant, 'a token', 'complete')],
  ['opening a receiver', () => messages().openReceiver(() => grant, new FakeSink())],
  ['finding subscriptions', () => world.hub.subscriptions.load(grant)],
  ['keeping subscriptions', () => world.hub.subscriptions.keep(grant, new Map([['$iothub/methods/POST/#', 0 as const]]))],
  [
    'sending telemetry',
    () => world.hub.devicePlane.sendTelemetry(grant, [{ body: Buffer.from('x'), systemProperties: {}, applicationProperties: {} }]),
  ],
  ['reading the twin', () => world.hub.devicePlane.getTwin(grant)],
];

async function refusalOf(work: Promise<unknown>): Promise<ServiceError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ServiceError);
  return error as ServiceError;
}

const keptFor = async (error: ServiceError) => {
  expect(error.trackingId).toBeDefined();
  return await world.store.read.hubDecisions.get(error.trackingId ?? '');
};

test.each(operations)('the refusal of %s is found under its tracking id', async (_, act) => {
  await lost();
  const error = await refusalOf(act());
  expect(error.error).toBe('DeviceDisabled');
  expect(await keptFor(error)).toMatchObject({
    hub: 'hub',
    deviceId: 'd1',
    error: 'DeviceDisabled',
    trace: { steps: [{ subject: 'session', reason: 'no-longer-granted' }] },
  });
});

test('so is that of settling at an open receiver', async () => {
  const receiver = await messages().openReceiver(() => grant, new FakeSink());
  await lost();
  expect(await keptFor(await refusalOf(receiver.settle('a token', 'complete')))).toMatchObject({ error: 'DeviceDisabled' });
  await receiver.close();
});

test('what is about the message and not about the device is not kept', async () => {
  const error = await refusalOf(messages().settle(grant, 'a token', 'complete'));
  expect([error.error, error.trackingId]).toEqual(['DeviceMessageLockLost', undefined]);
});
