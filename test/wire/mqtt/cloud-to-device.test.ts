import { expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { minutes, seconds } from '../../../src/kernel/clock.ts';
import { startHub } from './hub-service.ts';
import { settle, type TestClient } from './test-client.ts';

const filter = 'devices/dev/messages/devicebound/#';

/** The next PUBLISH, taken apart. */
async function message(client: TestClient) {
  const packet = await client.next();
  if (packet?.cmd !== 'publish') throw new Error(`no message but ${packet?.cmd ?? 'a closed connection'}`);
  const { topic, qos, dup, messageId = 0 } = packet;
  return { topic, qos, dup, messageId, text: packet.payload.toString() };
}

const acknowledge = (client: TestClient, messageId: number): void => client.send({ cmd: 'puback', messageId });

/** What came to a client that is not asked any more. */
const texts = (client: TestClient): readonly string[] =>
  client.received.flatMap((packet) => (packet.cmd === 'publish' ? [packet.payload.toString()] : []));

async function drainedTo(waiting: () => Promise<number>, count: number): Promise<void> {
  for (let turn = 0; turn < 200 && (await waiting()) !== count; turn += 1) await settle();
  expect(await waiting()).toBe(count);
}

test('ok/a message waits for its device, comes with its bag, and PUBACK completes it', async () => {
  const service = await startHub();
  await service.hub.cloudToDevice.send('hub-a', 'dev', {
    body: Buffer.from('hello'),
    systemProperties: {
      'message-id': 'm=1',
      to: '/devices/dev/messages/deviceBound',
      'content-type': 'text/plain; charset=utf-8',
      'iothub-ack': 'full',
    },
    applicationProperties: { 'deep blue': 'a=b&c', ü: '+' },
  });
  const { client } = await service.enter('dev');
  expect(await client.subscribe(filter)).toMatchObject({ cmd: 'suback', granted: [1] });
  const first = await message(client);
  expect(first).toMatchObject({ qos: 1, dup: false, text: 'hello' });
  const [path, bag] = [first.topic.slice(0, first.topic.lastIndexOf('/') + 1), first.topic.slice(first.topic.lastIndexOf('/') + 1)];
  expect(path).toBe('devices/dev/messages/devicebound/');
  expect(bag.split('&').toSorted()).toEqual([
    '%24.ct=text%2Fplain%3B%20charset%3Dutf-8',
    '%24.mid=m%3D1',
    '%24.to=%2Fdevices%2Fdev%2Fmessages%2FdeviceBound',
    '%C3%BC=%2B',
    'deep%20blue=a%3Db%26c',
    'iothub-ack=full',
  ]);
  expect(await service.waiting('dev')).toBe(1);
  acknowledge(client, first.messageId);
  await drainedTo(() => service.waiting('dev'), 0);
});

test('ok/the bag is never empty, though the sender said nothing', async () => {
  const service = await startHub();
  await service.hub.cloudToDevice.send('hub-a', 'dev', { body: Buffer.alloc(0), systemProperties: {}, applicationProperties: {} });
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  expect((await message(client)).topic).toBe('devices/dev/messages/devicebound/%24.to=%2Fdevices%2Fdev%2Fmessages%2Fdevicebound');
});

test('ok/QoS 0 completes with the writing', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter, 0);
  await service.sendTo('dev', 'a');
  expect(await message(client)).toMatchObject({ qos: 0, text: 'a' });
  await drainedTo(() => service.waiting('dev'), 0);
});

test('ok/nothing comes without a subscription, nor after it was taken back', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await service.sendTo('dev', 'a');
  await settle();
  expect(texts(client)).toEqual([]);
  await client.subscribe(filter);
  acknowledge(client, (await message(client)).messageId);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [filter] });
  expect(await client.next()).toMatchObject({ cmd: 'unsuback' });
  await service.sendTo('dev', 'b');
  await settle();
  expect(texts(client)).toEqual(['a']);
  expect(await service.waiting('dev')).toBe(1);
});

test('ok/what was not acknowledged comes again on the next connection, in order', async () => {
  const service = await startHub();
  const first = await service.enter('dev');
  await first.client.subscribe(filter);
  for (const text of ['a', 'b', 'c']) await service.sendTo('dev', text);
  const received = [await message(first.client), await message(first.client), await message(first.client)];
  acknowledge(first.client, received[1]?.messageId ?? 0);
  await drainedTo(() => service.waiting('dev'), 2);
  first.client.stream.destroy();
  const second = await service.enter('dev', { clean: true });
  await second.client.subscribe(filter);
  expect([(await message(second.client)).text, (await message(second.client)).text]).toEqual(['a', 'c']);
});

test('ok/a subscriber that acknowledges nothing gets no more than a window, again each minute as a duplicate, and loses it in the end', async () => {
  const service = await startHub();
  for (let n = 0; n < limits.cloudToDeviceDepth; n += 1) await service.sendTo('dev', String(n), { 'iothub-ack': 'negative' });
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  const window = [];
  for (let n = 0; n < limits.mqttUnacknowledged; n += 1) window.push(await message(client));
  await settle();
  expect(texts(client)).toHaveLength(limits.mqttUnacknowledged);
  service.clock.advance(seconds(limits.messageLockSeconds));
  const again = await message(client);
  expect(again).toEqual({ ...window[0], dup: true });
  for (let minute = 1; minute < limits.messageDeliveries; minute += 1) {
    await settle();
    client.send({ cmd: 'pingreq' });
    await settle();
    service.clock.advance(seconds(limits.messageLockSeconds));
  }
  await settle();
  await drainedTo(() => service.waiting('dev'), limits.cloudToDeviceDepth - limits.mqttUnacknowledged);
  // A PUBACK for a message that is given up completes no other.
  for (const { messageId } of window) acknowledge(client, messageId);
  await settle();
  expect(await service.waiting('dev')).toBe(limits.cloudToDeviceDepth - limits.mqttUnacknowledged);
});

test('refused/a message whose properties do not fit into a topic, without stopping those behind it', async () => {
  const service = await startHub();
  await service.sendTo('dev', 'huge', { 'correlation-id': '='.repeat(30_000), 'iothub-ack': 'full' });
  await service.sendTo('dev', 'next');
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  expect((await message(client)).text).toBe('next');
  await drainedTo(() => service.waiting('dev'), 1);
  service.clock.advance(minutes(1));
  const batch = await service.hub.feedback.receive('hub-a');
  expect(JSON.parse(Buffer.from(batch?.message.body ?? '[]').toString())).toMatchObject([
    { originalMessageId: 'huge', statusCode: 'Rejected' },
  ]);
});

test('ok/the session: subscriptions and what waits come back, and CONNACK says so', async () => {
  const service = await startHub();
  const first = await service.enter('dev');
  expect(first.sessionPresent).toBe(false);
  await first.client.subscribe(filter);
  first.client.send({ cmd: 'disconnect' });
  await first.client.closed;
  await service.sendTo('dev', 'a');
  await service.restart();
  const second = await service.enter('dev');
  expect(second.sessionPresent).toBe(true);
  const received = await message(second.client);
  expect(received.text).toBe('a');
  acknowledge(second.client, received.messageId);
  await drainedTo(() => service.waiting('dev'), 0);
});

test('ok/the session: a clean one forgets it, and leaves none', async () => {
  const service = await startHub();
  const leave = async ({ client }: { client: TestClient }): Promise<void> => {
    client.send({ cmd: 'disconnect' });
    await client.closed;
  };
  const first = await service.enter('dev');
  await first.client.subscribe(filter);
  await leave(first);
  const clean = await service.enter('dev', { clean: true });
  expect(clean.sessionPresent).toBe(false);
  await clean.client.subscribe('$iothub/twin/res/#');
  await leave(clean);
  expect((await service.enter('dev')).sessionPresent).toBe(false);
});

test('ok/the session: what was taken back is not there next time', async () => {
  const service = await startHub();
  const first = await service.enter('dev');
  await first.client.subscribe(filter);
  first.client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [filter] });
  expect(await first.client.next()).toMatchObject({ cmd: 'unsuback' });
  first.client.stream.destroy();
  expect((await service.enter('dev')).sessionPresent).toBe(false);
});

test('ok/the session: a second connection takes over with it, and the first is closed', async () => {
  const service = await startHub();
  const first = await service.enter('dev');
  await first.client.subscribe(filter);
  await service.sendTo('dev', 'a');
  const before = await message(first.client);
  const second = await service.enter('dev');
  await first.client.closed;
  expect(second.sessionPresent).toBe(true);
  expect((await message(second.client)).text).toBe(before.text);
});
