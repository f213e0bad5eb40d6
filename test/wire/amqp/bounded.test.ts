import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { type ByteBudget, createByteBudget } from '../../../src/kernel/byte-budget.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import { createMqttDoor } from '../../../src/transports/mqtt/door.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { open as openMqtt } from '../mqtt/test-client.ts';
import { amqpHeader, errorOf, frame, RawPeer, rheaMessage, saslHeader, source, target, until } from './raw-peer.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

/** Peers that take more than they give: what each costs, how it ends, and that nothing is lost by it. */

let budget: ByteBudget;
let service: TestService;
beforeEach(async () => {
  budget = createByteBudget(64 * 1024 * 1024);
  service = await openService({ budget });
  await service.addDevice('d1', leaf);
});
afterEach(async () => await service.close());

const leaf = leafOf('d1');
const heartbeat = Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]);
const accepted = () => rheaMessage.accepted().described();

async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A device with a link for messages, and credit for `credit` of them. */
async function openDevice(credit: number, fields: Record<string, unknown> = {}): Promise<RawPeer> {
  const peer = new RawPeer(service.dial({ certificate: leaf, serverName: hubHost }));
  await peer.open({ hostname: hubHost });
  peer.send('attach', {
    name: 'messages',
    handle: 0,
    role: true,
    source: source('/devices/d1/messages/devicebound'),
    target: target('d1'),
    ...fields,
  });
  await peer.next('attach');
  grant(peer, credit);
  return peer;
}

const grant = (peer: RawPeer, credit: number): void =>
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 5000,
    next_outgoing_id: 1,
    outgoing_window: 5000,
    handle: 0,
    delivery_count: 0,
    link_credit: credit,
  });

/** `count` messages of `bytes`, each beginning with its number in eight digits. */
async function sendMany(count: number, bytes: number, ack = 'none'): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, n) => String(n).padStart(8, '0'));
  for (const name of names) {
    const body = Buffer.alloc(bytes, '.');
    body.write(name);
    const systemProperties = { 'message-id': name, 'iothub-ack': ack };
    await service.hub.cloudToDevice.send('hub-a', 'd1', { body, systemProperties, applicationProperties: {} });
  }
  return names;
}

/** The messages that came, in the order they began to. */
const received = (peer: RawPeer): readonly { readonly id: number; readonly name: string }[] =>
  peer.named('transfer').flatMap(({ fields, payload }) => {
    const name = /\d{8}(?=\.)/u.exec(payload.toString('latin1'))?.[0];
    return name === undefined ? [] : [{ id: fields[1]?.value as number, name }];
  });

const waiting = async () => (await service.hub.registry.get('hub-a', 'd1')).cloudToDeviceMessageCount;
const decide = (peer: RawPeer, id: number): void =>
  peer.send('disposition', { role: true, first: id, last: id, settled: true, state: accepted() });

async function drainedTo(count: number): Promise<void> {
  for (let turn = 0; turn < 500 && (await waiting()) !== count; turn += 1) await turns(5);
  expect(await waiting()).toBe(count);
}

/** A new connection that takes everything that waits, in order of arrival. */
async function takeAll(count: number): Promise<readonly string[]> {
  const peer = await openDevice(1000);
  const taken: string[] = [];
  while (taken.length < count) {
    await until(() => received(peer).length > taken.length, `message ${taken.length + 1} of ${count}`);
    const next = received(peer)[taken.length];
    taken.push(next?.name ?? '');
    decide(peer, next?.id ?? -1);
  }
  await drainedTo(0);
  return taken;
}

const reasons = () => service.log.named('amqp.connection').map((fields) => fields['reason']);

async function ended(count = 1): Promise<readonly unknown[]> {
  await turns();
  // The moment that a peer gets to read our last words.
  service.clock.advance(seconds(1));
  await until(() => reasons().length >= count, 'the event of the connection');
  return reasons();
}

test('two connections of one device: the older hears link:stolen on link and connection, and what it held goes to the newer, first things first', async () => {
  const names = await sendMany(5, 20);
  const older = await openDevice(50);
  await until(() => received(older).length === 5, 'five messages');
  decide(older, received(older)[1]?.id ?? -1);
  await drainedTo(4);
  const newer = await openDevice(50);
  // Too late: the messages are the newer one's.
  for (const { id } of received(older)) decide(older, id);
  await until(() => received(newer).length === 4, 'four messages');
  expect(received(newer).map(({ name }) => name)).toEqual(names.filter((_, n) => n !== 1));
  expect(older.frames.slice(-3).map(({ name }) => name)).toEqual(['detach', 'end', 'close']);
  expect(errorOf(older.named('detach')[0]?.fields[2]).condition).toBe('amqp:link:stolen');
  expect(errorOf(older.named('close')[0]?.fields[0]).condition).toBe('amqp:link:stolen');
  expect(await ended()).toEqual(['cut: amqp:link:stolen']);
  expect(await waiting()).toBe(4);
  expect((await service.hub.registry.get('hub-a', 'd1')).connectionState).toBe('Connected');
});

test('a device that comes over MQTT takes over from AMQP, and back again', async () => {
  const door = createMqttDoor({ ...service, ids: new FakeIds() });
  const connect = () => {
    const client = openMqtt(door, { certificates: [leaf.der], serverName: hubHost });
    client.connect({ clientId: 'd1', username: `${hubHost}/d1/?api-version=2021-04-12` });
    return client;
  };
  const [name] = await sendMany(1, 20);
  const first = await openDevice(50);
  await until(() => received(first).length === 1, 'the message');
  const second = connect();
  expect(await second.next()).toMatchObject({ cmd: 'connack', returnCode: 0 });
  await until(() => first.named('close').length === 1, 'CLOSE');
  expect(errorOf(first.named('close')[0]?.fields[0]).condition).toBe('amqp:link:stolen');
  expect(await second.subscribe('devices/d1/messages/devicebound/#')).toMatchObject({ cmd: 'suback', granted: [1] });
  const packet = await second.next();
  expect(packet?.cmd === 'publish' && packet.payload.toString('utf8', 0, 8)).toBe(name);
  const third = await openDevice(50);
  await second.closed;
  await until(() => received(third).length === 1, 'the message, a third time');
  expect(await waiting()).toBe(1);
  await door.close();
});

test('a device that reads nothing: no more than a window is held for it, what goes out again ends it, and every message waits', async () => {
  const names = await sendMany(limits.cloudToDeviceDepth, 40_000);
  const slow = await openDevice(1000);
  slow.stream.pause();
  await turns(200);
  expect(budget.used).toBeGreaterThan(0);
  expect(budget.used).toBeLessThan(limits.receiverBytes + 64 * 1024);
  let most = budget.used;
  // It goes on to say that it is alive; each minute the locks end, and the same messages go out once more.
  for (let minute = 0; minute < limits.messageDeliveries - 1 && reasons().length === 0; minute += 1) {
    slow.write(heartbeat);
    service.clock.advance(seconds(limits.messageLockSeconds));
    await turns(200);
    most = Math.max(most, budget.used);
  }
  expect(reasons()).toEqual(['slow consumer']);
  expect(most).toBeLessThan(limits.amqpOutboundBytes + limits.receiverBytes);
  expect(budget.used).toBe(0);
  expect(await takeAll(names.length)).toEqual(names);
});

test('a device that reads nothing and wants everything settled: what the socket has not taken is not complete, and comes again', async () => {
  const names = await sendMany(limits.cloudToDeviceDepth, 40_000);
  const slow = await openDevice(1000, { snd_settle_mode: 1 });
  slow.stream.pause();
  await turns(300);
  expect(budget.used).toBeLessThan(limits.receiverBytes + 64 * 1024);
  const left = await waiting();
  expect(left).toBeGreaterThan(names.length - 16);
  slow.stream.destroy();
  expect(await ended()).toEqual(['peer left']);
  expect(budget.used).toBe(0);
  expect(await takeAll(left)).toEqual(names.slice(names.length - left));
});

test('a device that reads nothing and says nothing ends after twice the idle time that was announced', async () => {
  const names = await sendMany(20, 40_000);
  const slow = await openDevice(5);
  slow.stream.pause();
  await turns(200);
  service.clock.advance(seconds(2 * limits.amqpIdleSeconds));
  expect(await ended()).toEqual([expect.stringContaining('Nothing was heard')]);
  expect(await takeAll(names.length)).toEqual(names);
});

test('a receiver that never settles is handed messages until it holds 256 KiB, and no more than it has credit for', async () => {
  await sendMany(20, 60_000);
  const large = await openDevice(50);
  await until(() => received(large).length === 5, 'five messages');
  await turns(100);
  expect(received(large)).toHaveLength(5);
  decide(large, received(large)[0]?.id ?? -1);
  await until(() => received(large).length === 6, 'another one');
  await turns(100);
  expect(received(large)).toHaveLength(6);
});

test('lock and delivery count of what is never settled: ten times each minute, then the sender is told', async () => {
  await sendMany(1, 20, 'full');
  const peer = await openDevice(50);
  for (let minute = 1; minute <= limits.messageDeliveries; minute += 1) {
    await until(() => received(peer).length === minute, `delivery ${minute}`);
    peer.write(heartbeat);
    service.clock.advance(seconds(limits.messageLockSeconds - 1));
    await turns();
    expect(received(peer)).toHaveLength(minute);
    service.clock.advance(seconds(1));
  }
  await drainedTo(0);
  expect(new Set(peer.named('transfer').map(({ fields }) => fields[2]?.value.toString('hex'))).size).toBe(limits.messageDeliveries);
  service.clock.advance(seconds(limits.feedbackBatchSeconds));
  const batch = await service.hub.feedback.receive('hub-a');
  expect(JSON.parse(Buffer.from(batch?.message.body ?? '[]').toString())).toMatchObject([
    { originalMessageId: '00000000', statusCode: 'DeliveryCountExceeded' },
  ]);
});

test('credit that is used up by what is never settled: the messages wait, and the connection stays', async () => {
  const names = await sendMany(4, 20);
  const peer = await openDevice(3);
  await until(() => received(peer).length === 3, 'three messages');
  for (let minute = 0; minute < 20; minute += 1) {
    peer.write(heartbeat);
    await turns(10);
    service.clock.advance(seconds(limits.messageLockSeconds));
    await turns(10);
  }
  expect(received(peer)).toHaveLength(3);
  expect(reasons()).toEqual([]);
  expect(await takeAll(4)).toEqual(names);
});

const begin = frame('begin', { next_outgoing_id: 1, incoming_window: 1, outgoing_window: 1 });
const open = frame('open', { container_id: 'raw', hostname: hubHost });
const cbs = frame('attach', { name: 'c', handle: 0, role: true, source: source('$cbs'), target: target('c') });

test.each([
  ['nothing', [], 'no OPEN in time', 0],
  ['half a header', [amqpHeader.subarray(0, 5)], 'no OPEN in time', 5],
  ['a header', [amqpHeader], 'no OPEN in time', 0],
  ['the header of SASL', [saslHeader], 'no OPEN in time', 0],
  ['half an OPEN', [amqpHeader, open.subarray(0, 20)], 'no OPEN in time', 20],
  ['an OPEN', [amqpHeader, open], 'no link in time', 0],
  ['a BEGIN', [amqpHeader, open, begin], 'no link in time', 0],
  ['half an ATTACH', [amqpHeader, open, begin, cbs.subarray(0, 30)], 'no link in time', 30],
  ['a link to $cbs without a token', [amqpHeader, open, begin, cbs], 'no link in time', 0],
])('who says %s and no more is held as far as it came, and ends after 20 seconds', async (_, said, reason, held) => {
  const peer = new RawPeer(service.dial());
  if (said.length > 0) peer.write(Buffer.concat(said));
  await turns();
  expect(budget.used).toBe(held);
  service.clock.advance(seconds(limits.connectSeconds - 1));
  await turns();
  expect(reasons()).toEqual([]);
  service.clock.advance(seconds(1));
  expect(await ended()).toEqual([expect.stringContaining(reason)]);
  await until(() => service.door.connectionCount() === 0, 'nobody');
  expect(budget.used).toBe(0);
  if (reason === 'no link in time') expect(errorOf((await peer.next('close')).fields[0]).condition).toBe('amqp:connection:forced');
});

test('half a message is held as far as it came, and ends with twice the idle time', async () => {
  const peer = new RawPeer(service.dial({ certificate: leaf, serverName: hubHost }));
  await peer.open({ hostname: hubHost });
  const events = target('/devices/d1/messages/events');
  peer.send('attach', { name: 'events', handle: 0, role: false, initial_delivery_count: 0, source: source('d1'), target: events });
  await peer.next('flow');
  await turns();
  expect(budget.used).toBe(0);
  const tag = Buffer.alloc(16);
  peer.send('transfer', { handle: 0, delivery_id: 0, delivery_tag: tag, more: true }, { payload: Buffer.alloc(10_000) });
  const half = frame('transfer', { handle: 0, more: true }, { payload: Buffer.alloc(10_000) });
  peer.write(half.subarray(0, 5000));
  await turns();
  expect(budget.used).toBeGreaterThanOrEqual(15_000);
  expect(budget.used).toBeLessThan(15_500);
  service.clock.advance(seconds(2 * limits.amqpIdleSeconds));
  expect(errorOf((await peer.next('close')).fields[0]).condition).toBe('amqp:connection:forced');
  expect(await ended()).toEqual([expect.stringContaining('Nothing was heard')]);
  expect(budget.used).toBe(0);
});
