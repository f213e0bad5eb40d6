import { beforeEach, describe, expect, test } from 'vitest';
import type { FeedbackRecord } from '../../../../src/contracts/hub/message.ts';
import { limits } from '../../../../src/contracts/limits.ts';
import { openMessageHousekeeping } from '../../../../src/hub/messaging/housekeeping.ts';
import type { DeviceGrant, LockedMessage } from '../../../../src/hub/service.ts';
import { seconds } from '../../../../src/kernel/clock.ts';
import { settle } from '../../../fixtures/fake-session.ts';
import { FakeSink } from '../../../fixtures/fake-sink.ts';
import { type HubWorld, openHubWorld, refusal } from '../../../fixtures/hub-world.ts';

let world: HubWorld;
let grant: DeviceGrant;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  grant = await world.grant('d1');
  return () => world.close();
});

const recordsOf = (message: LockedMessage | undefined): readonly FeedbackRecord[] =>
  message === undefined ? [] : (JSON.parse(Buffer.from(message.message.body).toString()) as FeedbackRecord[]);
const send = (id: string, ack: string, more: Record<string, string> = {}) =>
  world.hub.cloudToDevice.send('hub', 'd1', {
    body: Buffer.from(id),
    systemProperties: { 'message-id': id, 'iothub-ack': ack, ...more },
    applicationProperties: {},
  });

async function end(settlement: 'complete' | 'reject' | 'abandon'): Promise<void> {
  const message = (await world.hub.deviceMessages.receive(grant)) ?? expect.fail('nothing waits');
  await world.hub.deviceMessages.settle(grant, message.lockToken, settlement);
}

/** The records of the next batch once it is due. */
async function nextBatch(): Promise<readonly FeedbackRecord[]> {
  world.clock.advance(seconds(limits.feedbackBatchSeconds));
  return recordsOf(await world.hub.feedback.receive('hub'));
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await settle();
}

describe('records', () => {
  test.each([
    ['full', 'complete', ['Success']],
    ['positive', 'complete', ['Success']],
    ['negative', 'complete', []],
    ['none', 'complete', []],
    ['full', 'reject', ['Rejected']],
    ['positive', 'reject', []],
    ['Negative', 'reject', ['Rejected']],
  ] as const)('ack %s and %s: %s', async (ack, settlement, statuses) => {
    await send('m1', ack);
    await end(settlement);
    expect((await nextBatch()).map(({ statusCode }) => statusCode)).toEqual(statuses);
  });

  test('say which message, of which incarnation, ended when and how', async () => {
    await send('m1', 'full');
    await end('complete');
    const at = new Date(world.clock.now()).toISOString().slice(0, 19);
    expect(await nextBatch()).toEqual([
      {
        originalMessageId: 'm1',
        deviceGenerationId: grant.generationId,
        deviceId: 'd1',
        enqueuedTimeUtc: expect.stringContaining(at) as string,
        statusCode: 'Success',
        description: 'Success',
      },
    ]);
  });

  test('too many returns, and a purge', async () => {
    await send('m1', 'negative');
    for (let round = 0; round < limits.messageDeliveries; round += 1) await end('abandon');
    await send('m2', 'full');
    await world.hub.cloudToDevice.purge('hub', 'd1');
    expect((await nextBatch()).map((record) => [record.originalMessageId, record.statusCode])).toEqual([
      ['m1', 'DeliveryCountExceeded'],
      ['m2', 'Purged'],
    ]);
  });

  test('expiry is told although the device never comes, but a locked message may still be completed', async () => {
    const housekeeping = openMessageHousekeeping({ ...world, storage: world.store });
    const soon = { 'absolute-expiry-time': new Date(world.clock.now() + 5000).toISOString() };
    await send('held', 'full', soon);
    await send('late', 'full', soon);
    const held = (await world.hub.deviceMessages.receive(grant)) ?? expect.fail('nothing waits');
    world.clock.advance(seconds(10));
    await rest();
    await world.hub.deviceMessages.settle(grant, held.lockToken, 'complete');
    const found = (await nextBatch()).map((record) => [record.originalMessageId, record.statusCode]);
    expect(found).toEqual([
      ['late', 'Expired'],
      ['held', 'Success'],
    ]);
    await housekeeping.close();
  });
});

describe('batches', () => {
  const complete = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      await send(`m${n}`, 'positive');
      await end('complete');
    }
  };

  test('wait fifteen seconds, or for 64 records', async () => {
    await complete(1);
    expect(await world.hub.feedback.receive('hub')).toBeUndefined();
    await complete(limits.feedbackBatch);
    const full = recordsOf(await world.hub.feedback.receive('hub'));
    expect(full).toHaveLength(limits.feedbackBatch);
    expect(await nextBatch()).toHaveLength(1);
  });

  test('reach a live receiver when they are due, and are gone once completed', async () => {
    const sink = new FakeSink();
    const receiver = world.hub.feedback.openReceiver('hub', sink);
    receiver.setCredit(10);
    await complete(2);
    await rest();
    expect(sink.delivered).toEqual([]);
    world.clock.advance(seconds(limits.feedbackBatchSeconds));
    await rest();
    expect(sink.delivered.map((batch) => recordsOf(batch).length)).toEqual([2]);
    await receiver.settle(sink.delivered[0]?.lockToken ?? '', 'complete');
    await receiver.close();
    world.clock.advance(seconds(120));
    expect(await world.hub.feedback.receive('hub')).toBeUndefined();
  });

  test('two receivers share them; what one holds when it closes is the other’s', async () => {
    const [one, two] = [new FakeSink(), new FakeSink()];
    const first = world.hub.feedback.openReceiver('hub', one);
    first.setCredit(10);
    await complete(limits.feedbackBatch);
    await rest();
    expect(one.delivered).toHaveLength(1);
    const second = world.hub.feedback.openReceiver('hub', two);
    second.setCredit(10);
    await rest();
    expect(two.delivered).toEqual([]);
    await first.close();
    await rest();
    expect(recordsOf(two.delivered[0])).toHaveLength(limits.feedbackBatch);
    await second.close();
  });

  test('come again when they are abandoned, and not under a token that was used', async () => {
    await complete(limits.feedbackBatch);
    const batch = (await world.hub.feedback.receive('hub')) ?? expect.fail('no batch');
    await world.hub.feedback.settle('hub', batch.lockToken, 'abandon');
    await expect(world.hub.feedback.settle('hub', batch.lockToken, 'complete')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
    expect(await world.hub.feedback.receive('hub')).toMatchObject({ deliveryCount: 1 });
  });

  test('nobody fetches them: they are forgotten after an hour', async () => {
    const housekeeping = openMessageHousekeeping({ ...world, storage: world.store });
    await complete(1);
    for (const span of [limits.feedbackLifeSeconds, 20]) {
      world.clock.advance(seconds(span));
      await rest();
    }
    expect(await world.store.read.feedback.oldest('hub', 10)).toEqual([]);
    await housekeeping.close();
  });

  test('each hub has its own', async () => {
    await complete(limits.feedbackBatch);
    expect(await world.hub.feedback.receive('other')).toBeUndefined();
  });
});
