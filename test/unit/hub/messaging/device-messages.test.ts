import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../../src/contracts/limits.ts';
import type { DeviceGrant, MessageReceiver } from '../../../../src/hub/service.ts';
import { seconds } from '../../../../src/kernel/clock.ts';
import { settle } from '../../../fixtures/fake-session.ts';
import { FakeSink, textOf } from '../../../fixtures/fake-sink.ts';
import { any, type HubWorld, openHubWorld, refusal } from '../../../fixtures/hub-world.ts';

let world: HubWorld;
let grant: DeviceGrant;

beforeEach(async () => {
  world = await openHubWorld();
  await world.create('d1');
  grant = await world.grant('d1');
  return () => world.close();
});

const messages = () => world.hub.deviceMessages;
const send = (text: string, systemProperties: Record<string, string> = {}, deviceId = 'd1') =>
  world.hub.cloudToDevice.send('hub', deviceId, { body: Buffer.from(text), systemProperties, applicationProperties: { n: text } });
const waiting = async () => (await world.hub.registry.get('hub', 'd1')).cloudToDeviceMessageCount;

/** Lets the receiver do everything that waits for neither time nor peer. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await settle();
}

async function open(credit: number): Promise<{ sink: FakeSink; receiver: MessageReceiver }> {
  const sink = new FakeSink();
  const receiver = await messages().openReceiver(() => grant, sink);
  receiver.setCredit(credit);
  await rest();
  return { sink, receiver };
}

describe('send', () => {
  test('queues for a device that is away, and identity and twin say how many wait', async () => {
    await send('a');
    await send('b');
    expect(await waiting()).toBe(2);
    expect((await world.hub.twins.get('hub', 'd1')).cloudToDeviceMessageCount).toBe(2);
    expect((await world.hub.registry.list('hub', { limit: 10 })).items[0]).toMatchObject({ cloudToDeviceMessageCount: 2 });
  });

  test('refuses an unknown device', async () => {
    await expect(send('a', {}, 'D1')).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test('takes fifty and refuses one more, which leaves no trace', async () => {
    for (let n = 0; n < limits.cloudToDeviceDepth; n += 1) await send(String(n));
    await expect(send('too many')).rejects.toMatchObject(refusal('DeviceMaximumQueueDepthExceeded'));
    expect(await waiting()).toBe(50);
    const first = await messages().receive(grant);
    await messages().settle(grant, first?.lockToken ?? '', 'complete');
    await send('now');
    expect(await waiting()).toBe(50);
  });

  test('counts locked messages among the fifty', async () => {
    for (let n = 0; n < limits.cloudToDeviceDepth; n += 1) await send(String(n));
    await messages().receive(grant);
    await expect(send('too many')).rejects.toMatchObject(refusal('DeviceMaximumQueueDepthExceeded'));
  });

  test('64 KB fit with their properties, a byte more does not', async () => {
    const fixed = 'n'.length + 'x'.length;
    const fits = { body: Buffer.alloc(limits.cloudToDeviceBytes - fixed), systemProperties: {}, applicationProperties: { n: 'x' } };
    await world.hub.cloudToDevice.send('hub', 'd1', fits);
    const over = { ...fits, applicationProperties: { n: 'xx' } };
    await expect(world.hub.cloudToDevice.send('hub', 'd1', over)).rejects.toMatchObject(refusal('MessageTooLarge'));
  });

  test.each([
    ['a word that is no ack', { 'iothub-ack': 'maybe' }, 'ArgumentInvalid'],
    ['an expiry that is no date', { 'absolute-expiry-time': 'soon' }, 'InvalidMessageExpiryTime'],
    ['an expiry in the past', { 'absolute-expiry-time': '2020-01-01T00:00:00Z' }, 'InvalidMessageExpiryTime'],
  ])('refuses %s', async (_what, properties, error) => {
    await expect(send('a', properties)).rejects.toMatchObject(refusal(error));
    expect(await waiting()).toBe(0);
  });

  test('a queue goes with its device', async () => {
    await send('a');
    await world.hub.registry.delete('hub', 'd1', any);
    await world.create('d1');
    expect(await waiting()).toBe(0);
  });
});

describe('receive', () => {
  test('gives the oldest message under a lock, with what the wire shows of it', async () => {
    await send('a', { 'message-id': 'm1', 'iothub-ack': 'full' });
    await send('b');
    const first = await messages().receive(grant);
    expect(first).toMatchObject({
      sequenceNumber: 1,
      deliveryCount: 0,
      enqueuedAt: world.clock.now(),
      lockedUntil: world.clock.now() + 60_000,
      message: { systemProperties: { 'message-id': 'm1', 'iothub-ack': 'full' }, applicationProperties: { n: 'a' } },
    });
    const second = await messages().receive(grant);
    expect(second && textOf(second)).toBe('b');
    expect(await messages().receive(grant)).toBeUndefined();
  });

  test('complete and reject take it out, abandon puts it back in front with its count', async () => {
    for (const text of ['a', 'b', 'c']) await send(text);
    const take = async () => (await messages().receive(grant)) ?? expect.fail('nothing waits');
    const [a, b] = [await take(), await take()];
    await messages().settle(grant, b.lockToken, 'complete');
    await messages().settle(grant, a.lockToken, 'abandon');
    const again = await take();
    expect([textOf(again), again.deliveryCount]).toEqual(['a', 1]);
    expect(again.lockToken).not.toBe(a.lockToken);
    await messages().settle(grant, again.lockToken, 'reject');
    expect(textOf(await take())).toBe('c');
    expect(await waiting()).toBe(1);
  });

  test('a lock that ended is lost: the message is back, once more counted', async () => {
    await send('a');
    const first = await messages().receive(grant, 5);
    world.clock.advance(seconds(5));
    await expect(messages().settle(grant, first?.lockToken ?? '', 'complete')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
    expect(await messages().receive(grant)).toMatchObject({ deliveryCount: 1 });
  });

  test('a token settles once, and only the messages of its device', async () => {
    await world.create('d2');
    await send('a');
    const { lockToken } = (await messages().receive(grant)) ?? expect.fail('nothing waits');
    const stranger = await world.grant('d2');
    await expect(messages().settle(stranger, lockToken, 'complete')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
    await messages().settle(grant, lockToken, 'complete');
    await expect(messages().settle(grant, lockToken, 'complete')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
  });

  test('the tenth return is the last', async () => {
    await send('a');
    for (let round = 0; round < limits.messageDeliveries; round += 1) {
      const message = (await messages().receive(grant)) ?? expect.fail(`gone after ${round} returns`);
      expect(message.deliveryCount).toBe(round);
      await messages().settle(grant, message.lockToken, 'abandon');
    }
    expect(await messages().receive(grant)).toBeUndefined();
    expect(await waiting()).toBe(0);
  });

  test('what expired is passed over', async () => {
    await send('short', { 'absolute-expiry-time': new Date(world.clock.now() + 1000).toISOString() });
    await send('long');
    world.clock.advance(1000);
    const found = await messages().receive(grant);
    expect(found && textOf(found)).toBe('long');
  });

  test.each([0, -1, 1.5, 301])('a lock of %s seconds is refused', async (lockSeconds) => {
    await expect(messages().receive(grant, lockSeconds)).rejects.toMatchObject(refusal('ArgumentInvalid'));
  });

  test('a device that was disabled receives and settles nothing', async () => {
    await send('a');
    const { lockToken } = (await messages().receive(grant)) ?? expect.fail('nothing waits');
    await world.update('d1', { status: 'disabled' });
    await expect(messages().receive(grant)).rejects.toMatchObject(refusal('DeviceDisabled'));
    await expect(messages().settle(grant, lockToken, 'complete')).rejects.toMatchObject(refusal('DeviceDisabled'));
    expect(await waiting()).toBe(1);
  });
});

describe('receiver', () => {
  test('brings what waits and what comes, in order, as far as its credit goes', async () => {
    for (const text of ['a', 'b', 'c']) await send(text);
    const { sink, receiver } = await open(2);
    expect(sink.fresh()).toEqual(['a', 'b']);
    await sink.settle(receiver, 'a');
    await rest();
    expect(sink.fresh()).toEqual([]);
    receiver.setCredit(5);
    await rest();
    await send('d');
    await rest();
    expect(sink.fresh()).toEqual(['c', 'd']);
    for (const text of ['b', 'c', 'd']) await sink.settle(receiver, text);
    expect(await waiting()).toBe(0);
  });

  test('hands over a whole queue, more than one transaction takes', async () => {
    const texts = Array.from({ length: limits.cloudToDeviceDepth }, (_, n) => `message ${n}`);
    for (const text of texts) await send(text);
    const { sink } = await open(1000);
    expect(sink.texts).toEqual(texts);
  });

  test('holds back what would be too many bytes unsettled, and goes on when room is made', async () => {
    const large = 'x'.repeat(limits.cloudToDeviceBytes - 200);
    for (let n = 0; n < 8; n += 1) {
      await world.hub.cloudToDevice.send('hub', 'd1', { body: Buffer.from(large), systemProperties: {}, applicationProperties: {} });
    }
    const { sink, receiver } = await open(50);
    const most = Math.ceil(limits.receiverBytes / large.length);
    expect(sink.delivered).toHaveLength(most);
    for (const { lockToken } of sink.delivered) await receiver.settle(lockToken, 'complete');
    await rest();
    expect(sink.delivered).toHaveLength(8);
  });

  test('an abandoned message comes again at once', async () => {
    await send('a');
    const { sink, receiver } = await open(10);
    await sink.settle(receiver, 'a', 'abandon');
    await rest();
    expect(sink.delivered.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 1]);
  });

  test('a message that is never settled comes ten times, a minute apart, and then no more', async () => {
    await send('a');
    const { sink, receiver } = await open(100);
    for (let minute = 0; minute < 12; minute += 1) {
      world.clock.advance(seconds(limits.messageLockSeconds));
      await rest();
    }
    expect(sink.delivered.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(sink.ended).toHaveLength(10);
    const [first] = sink.delivered;
    await expect(receiver.settle(first?.lockToken ?? '', 'complete')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
    expect(await waiting()).toBe(0);
  });

  test('a message that HTTPS has locked comes when that lock ends', async () => {
    await send('a');
    await messages().receive(grant, 30);
    const { sink } = await open(10);
    expect(sink.texts).toEqual([]);
    world.clock.advance(seconds(30));
    await rest();
    expect(sink.texts).toEqual(['a']);
  });

  test('what it holds when it closes is the next one’s, in order and not counted', async () => {
    for (const text of ['a', 'b', 'c']) await send(text);
    const first = await open(10);
    await first.sink.settle(first.receiver, 'b');
    await first.receiver.close();
    const second = await open(10);
    expect(second.sink.texts).toEqual(['a', 'c']);
    expect(second.sink.delivered.map(({ deliveryCount }) => deliveryCount)).toEqual([0, 0]);
    await send('d');
    await rest();
    expect(first.sink.texts).toEqual(['a', 'b', 'c']);
    expect(second.sink.texts).toEqual(['a', 'c', 'd']);
  });

  test('takes over what one that never closed still holds; its settlements come too late', async () => {
    await send('a');
    const crashed = await open(10);
    const { sink, receiver } = await open(10);
    expect(sink.texts).toEqual(['a']);
    await expect(crashed.sink.settle(crashed.receiver, 'a')).rejects.toMatchObject(refusal('DeviceMessageLockLost'));
    await sink.settle(receiver, 'a');
    expect(await waiting()).toBe(0);
  });

  test('delivers nothing more once its device is disabled', async () => {
    const { sink } = await open(10);
    await world.update('d1', { status: 'disabled' });
    await send('a');
    await rest();
    expect(sink.texts).toEqual([]);
    expect(await waiting()).toBe(1);
  });

  test('a failure of the store is told to the log and tried again', async () => {
    await send('a');
    let broken = false;
    const sink = new FakeSink();
    const receiver = await messages().openReceiver(() => {
      if (broken) throw new Error('out of order');
      return grant;
    }, sink);
    broken = true;
    receiver.setCredit(10);
    await rest();
    expect(sink.texts).toEqual([]);
    expect(world.log.named('messages.receiver.failed')).toHaveLength(1);
    broken = false;
    world.clock.advance(seconds(5));
    await rest();
    expect(sink.texts).toEqual(['a']);
  });
});

describe('purge', () => {
  test('empties the queue, locked messages included, and says how many there were', async () => {
    for (const text of ['a', 'b']) await send(text);
    await messages().receive(grant);
    expect(await world.hub.cloudToDevice.purge('hub', 'd1')).toEqual({ totalMessagesPurged: 2, deviceId: 'd1', moduleId: null });
    expect(await waiting()).toBe(0);
    await expect(world.hub.cloudToDevice.purge('hub', 'nobody')).rejects.toMatchObject(refusal('DeviceNotFound'));
  });
});
