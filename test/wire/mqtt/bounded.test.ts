import { expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { createByteBudget } from '../../../src/kernel/byte-budget.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import { type HubService, startHub } from './hub-service.ts';
import { startEngine } from './test-binding.ts';
import { open, settle, type TestClient } from './test-client.ts';

/** Clients that take more than they give: what each costs, how it ends, and that nothing is lost by it. */

const filter = 'devices/dev/messages/devicebound/#';
const subscription = (qos: 0 | 1) => ({ cmd: 'subscribe' as const, messageId: 1, subscriptions: [{ topic: filter, qos }] });

async function message(client: TestClient) {
  const packet = await client.next();
  if (packet?.cmd !== 'publish') throw new Error(`no message but ${packet?.cmd ?? 'a closed connection'}`);
  return { text: packet.payload.toString('utf8', 0, 8), id: packet.messageId ?? 0, dup: packet.dup };
}

const published = (client: TestClient) => client.received.filter((packet) => packet.cmd === 'publish');

async function eventually(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    if (await isSo()) return;
    await settle();
  }
  throw new Error(`waited in vain for ${what}`);
}

const drainedTo = (service: HubService, count: number) =>
  eventually(async () => (await service.waiting('dev')) === count, `${count} waiting messages`);

/** `count` messages of about `bytes`, each beginning with its number in eight digits. */
async function sendMany(service: HubService, count: number, bytes: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, n) => String(n).padStart(8, '0'));
  for (const name of names) {
    const body = Buffer.alloc(bytes, '.');
    body.write(name);
    await service.hub.cloudToDevice.send('hub-a', 'dev', { body, systemProperties: {}, applicationProperties: {} });
  }
  return names;
}

/** A new connection that takes everything that waits, in order of arrival. */
async function takeAll(service: HubService, count: number): Promise<readonly string[]> {
  const { client } = await service.enter('dev', { clean: true });
  await client.subscribe(filter);
  const taken: string[] = [];
  while (taken.length < count) {
    const { text, id } = await message(client);
    taken.push(text);
    client.send({ cmd: 'puback', messageId: id });
  }
  await drainedTo(service, 0);
  return taken;
}

test('two connections of one device: what the older had in flight goes to the newer, first things first, and its late PUBACK counts for nothing', async () => {
  const service = await startHub();
  const names = await sendMany(service, 5, 20);
  const older = await service.enter('dev');
  await older.client.subscribe(filter);
  const held = [];
  for (const _ of names) held.push(await message(older.client));
  // Half of what the older one has is in the socket of the hub when the newer one comes.
  older.client.send({ cmd: 'puback', messageId: held[1]?.id ?? 0 });
  await drainedTo(service, 4);
  const newer = await service.enter('dev', { clean: true });
  for (const { id } of held) older.client.send({ cmd: 'puback', messageId: id });
  await older.client.closed;
  await newer.client.subscribe(filter);
  const again = [await message(newer.client), await message(newer.client), await message(newer.client), await message(newer.client)];
  expect(again.map(({ text, dup }) => [text, dup])).toEqual(names.filter((_, n) => n !== 1).map((name) => [name, false]));
  expect(await service.waiting('dev')).toBe(4);
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'cut', detail: 'taken-over' }]);
  expect((await service.hub.registry.get('hub-a', 'dev')).connectionState).toBe('Connected');
});

test('a device that connects in a storm, each time under the same id, has one connection in the end and loses nothing', async () => {
  const service = await startHub();
  const names = await sendMany(service, 10, 20);
  // Most of them are taken over before they read their CONNACK.
  const entering = Array.from({ length: 8 }, () => service.enter('dev').catch(() => undefined));
  const left = (await Promise.all(entering)).flatMap((entered) => (entered === undefined ? [] : [entered.client]));
  await eventually(() => service.log.named('mqtt.connection').length === 7, 'seven that were taken over');
  const [last, ...others] = left.filter((client) => !client.isClosed);
  expect([last !== undefined, others]).toEqual([true, []]);
  await last?.subscribe(filter);
  await settle();
  last?.stream.destroy();
  await settle();
  expect(await takeAll(service, names.length)).toEqual(names);
});

test('a device that reads nothing, at QoS 1: no more than a window is held for it, its duplicates end it, and every message waits', async () => {
  const budget = createByteBudget(64 * 1024 * 1024);
  const service = await startHub(budget);
  const names = await sendMany(service, limits.cloudToDeviceDepth, 40_000);
  const slow = await service.enter('dev', { reads: false });
  slow.client.send(subscription(1));
  await settle();
  expect(budget.used).toBeGreaterThan(0);
  expect(budget.used).toBeLessThan(limits.receiverBytes + 64 * 1024);
  let most = budget.used;
  // It goes on to say that it is alive; each minute the locks end, and the same messages go out once more.
  for (let minute = 0; minute < limits.messageDeliveries && service.log.named('mqtt.connection').length === 0; minute += 1) {
    for (let part = 0; part < 3; part += 1) {
      service.clock.advance(seconds(limits.messageLockSeconds / 3));
      slow.client.send({ cmd: 'pingreq' });
      await settle();
    }
    most = Math.max(most, budget.used);
  }
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'slow-consumer' }]);
  expect(most).toBeLessThan(1024 * 1024 + limits.receiverBytes);
  expect(budget.used).toBe(0);
  expect(await takeAll(service, names.length)).toEqual(names);
});

test('a device that reads nothing, at QoS 0: what the socket has not taken is not complete, and comes again', async () => {
  const budget = createByteBudget(64 * 1024 * 1024);
  const service = await startHub(budget);
  const names = await sendMany(service, limits.cloudToDeviceDepth, 40_000);
  const slow = await service.enter('dev', { reads: false });
  slow.client.send(subscription(0));
  for (let turn = 0; turn < 20; turn += 1) await settle();
  expect(budget.used).toBeLessThan(limits.receiverBytes + 64 * 1024);
  // The sockets of both ends have taken the first few.
  const waiting = await service.waiting('dev');
  expect(waiting).toBeGreaterThan(names.length - 4);
  slow.client.stream.destroy();
  await settle();
  expect(budget.used).toBe(0);
  expect(await takeAll(service, waiting)).toEqual(names.slice(names.length - waiting));
});

test('a device that reads nothing and says nothing ends with its keep-alive', async () => {
  const service = await startHub();
  const names = await sendMany(service, 20, 40_000);
  const slow = await service.enter('dev', { reads: false });
  slow.client.send(subscription(1));
  await settle();
  service.clock.advance(seconds(90));
  await settle();
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'keep-alive' }]);
  expect(await takeAll(service, names.length)).toEqual(names);
});

test('a subscriber that never acknowledges has 16 messages at a time, and no more once they are 256 KiB', async () => {
  const service = await startHub();
  await sendMany(service, limits.cloudToDeviceDepth, 20);
  const small = await service.enter('dev');
  await small.client.subscribe(filter);
  await settle();
  expect(published(small.client)).toHaveLength(limits.mqttUnacknowledged);
  small.client.stream.destroy();
  await settle();
  expect(await service.hub.cloudToDevice.purge('hub-a', 'dev')).toMatchObject({ totalMessagesPurged: limits.cloudToDeviceDepth });
  await sendMany(service, 20, 60_000);
  const large = await service.enter('dev');
  await large.client.subscribe(filter);
  await settle();
  expect(published(large.client)).toHaveLength(5);
});

test('lock and delivery count of what is never acknowledged: ten times each minute, then the sender is told', async () => {
  const service = await startHub();
  await service.sendTo('dev', 'unwanted', { 'iothub-ack': 'full' });
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  await settle();
  for (let minute = 1; minute <= limits.messageDeliveries; minute += 1) {
    await eventually(() => published(client).length === minute, `delivery ${minute}`);
    client.send({ cmd: 'pingreq' });
    await settle();
    service.clock.advance(seconds(limits.messageLockSeconds - 1));
    await settle();
    expect(published(client)).toHaveLength(minute);
    client.send({ cmd: 'pingreq' });
    await settle();
    service.clock.advance(seconds(1));
  }
  await drainedTo(service, 0);
  const sent = published(client);
  expect(sent).toHaveLength(limits.messageDeliveries);
  expect(new Set(sent.map((packet) => packet.cmd === 'publish' && packet.messageId)).size).toBe(1);
  service.clock.advance(seconds(limits.feedbackBatchSeconds));
  const batch = await service.hub.feedback.receive('hub-a');
  expect(JSON.parse(Buffer.from(batch?.message.body ?? '[]').toString())).toMatchObject([
    { originalMessageId: 'unwanted', statusCode: 'DeliveryCountExceeded' },
  ]);
});

test('half a packet behind CONNACK is held as far as it came, and ends with the keep-alive', async () => {
  const budget = createByteBudget(1024 * 1024);
  const service = await startHub(budget);
  const { client } = await service.enter('dev');
  await settle();
  expect(budget.used).toBe(0);
  // A PUBLISH of 200,000 bytes, of which 1000 come.
  client.sendBytes(Buffer.concat([Buffer.from([0x32, 0xc0, 0x9a, 0x0c]), Buffer.alloc(1000)]));
  await settle();
  expect(budget.used).toBe(1004);
  service.clock.advance(seconds(90));
  await client.closed;
  await settle();
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'keep-alive' }]);
  expect(budget.used).toBe(0);
});

test('who says nothing costs nothing and ends after 20 seconds; half a CONNECT is held as far as it came', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from([0x10]), Buffer.concat([Buffer.from([0x10, 0xff, 0x07]), Buffer.alloc(500)])]) {
    const budget = createByteBudget(1024 * 1024);
    const { door, clock, log } = startEngine({}, { unauthenticatedBytes: 2048 }, budget);
    const client = open(door);
    if (bytes.length > 0) client.sendBytes(bytes);
    await settle();
    expect(budget.used).toBe(bytes.length);
    clock.advance(seconds(limits.connectSeconds - 1));
    await settle();
    expect(client.isClosed).toBe(false);
    clock.advance(seconds(1));
    await client.closed;
    await settle();
    expect(log.named('mqtt.connection')).toMatchObject([{ outcome: 'connect-timeout', bytesIn: bytes.length, bytesOut: 0 }]);
    expect([budget.used, clock.pending, door.connectionCount()]).toEqual([0, 0, 0]);
  }
});
