import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import type { AmqpBinding, AmqpConnection, AmqpDelivery, AmqpLink } from '../../../src/transports/amqp/engine/binding.ts';
import { ServerConnection } from '../../../src/transports/amqp/engine/connection.ts';
import type { AmqpLimits } from '../../../src/transports/amqp/engine/limits.ts';
import { createAmqpErrors } from '../../../src/transports/amqp/errors.ts';
import { duplexPair } from '../../fixtures/duplex-pair.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { type ByteBudget, createByteBudget, unlimitedBytes } from '../../../src/kernel/byte-budget.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { amqpHeader, errorOf, frame, RawPeer, rheaMessage, rheaTypes, saslHeader, source, target, until } from './raw-peer.ts';

const limits: AmqpLimits = {
  unauthenticatedBytes: 1024,
  frameBytes: 4096,
  links: 4,
  connectionLinks: 6,
  sessions: 2,
  unsettledSessions: 2,
  connectSeconds: 20,
  idleSeconds: 240,
  credit: 10,
  inflightBytes: 64 * 1024,
  queuedMessages: 8,
  outboundBytes: 64 * 1024,
};

/** An engine whose service lets every link in, except those whose address says otherwise, and keeps what it gets. */
function start(overrides: Partial<AmqpLimits> = {}, budget: ByteBudget = unlimitedBytes) {
  const [ours, theirs] = duplexPair();
  const clock = new FakeClock();
  const ids = new FakeIds();
  const log = new RecordingLog();
  const errors = createAmqpErrors({ clock, ids, log });
  const links: AmqpLink[] = [];
  const closed: string[] = [];
  const deliveries: { readonly delivery: AmqpDelivery; readonly answer: (error?: Error) => void }[] = [];
  const binding: AmqpBinding = {
    async attach(link) {
      if (link.address === 'refused') throw new ServiceError('IotHubUnauthorized', 'Not you.');
      links.push(link);
      return {
        maxMessageBytes: 8192,
        message: (delivery) =>
          new Promise((resolve, reject) => {
            deliveries.push({ delivery, answer: (error) => (error === undefined ? resolve() : reject(error)) });
          }),
        closed: () => void closed.push(link.name),
      };
    },
    closed: () => void closed.push('connection'),
  };
  let connection: AmqpConnection | undefined;
  const server = new ServerConnection({
    peer: { stream: ours, certificates: [], serverName: undefined, remoteAddress: '127.0.0.1' },
    transport: 'amqp',
    limits: { ...limits, ...overrides },
    budget,
    clock,
    ids,
    log,
    renderError: (thrown) => errors.render(thrown),
    bind: (opened) => {
      connection = opened;
      return binding;
    },
  });
  const peer = new RawPeer(theirs);
  return { peer, clock, log, links, closed, deliveries, server, connection: () => connection as AmqpConnection };
}

type World = ReturnType<typeof start>;

const senderAttach = (handle: number, fields: Record<string, unknown> = {}) => ({
  name: `link-${handle}`,
  handle,
  role: false,
  initial_delivery_count: 0,
  source: source('me'),
  target: target('there'),
  ...fields,
});

const receiverAttach = (handle: number, fields: Record<string, unknown> = {}) => ({
  name: `link-${handle}`,
  handle,
  role: true,
  source: source('there'),
  target: target('me'),
  ...fields,
});

const encoded = (text: string): Buffer => rheaMessage.encode({ body: rheaMessage.data_section(Buffer.from(text)) });

async function gone({ peer, clock, log }: World): Promise<string> {
  await until(() => peer.stream.readableEnded || peer.closed, 'the end of the connection');
  clock.advance(seconds(5));
  await until(() => log.named('amqp.connection').length === 1, 'the event of the connection');
  return String(log.named('amqp.connection')[0]?.['reason']);
}

test.each([
  ['random bytes', Buffer.from('0102030405060708090a', 'hex')],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['AMQP 0-9-1', Buffer.from('AMQP\0\0\x09\x01', 'latin1')],
  ['an AMQP TLS header', Buffer.from('AMQP\x02\x01\0\0', 'latin1')],
])('refused/%s is told what is spoken here', async (_, bytes) => {
  const world = start();
  world.peer.write(bytes);
  expect(await gone(world)).toContain('amqp:decode-error');
  expect(world.peer.headers).toEqual([amqpHeader]);
});

test('refused/a frame of 2 GiB is refused on its declared size, before OPEN', async () => {
  const world = start();
  world.peer.write(Buffer.concat([amqpHeader, Buffer.from('7fffffff02000000', 'hex')]));
  expect(await gone(world)).toContain('2147483647 bytes');
});

test('refused/before OPEN a frame is smaller than after', async () => {
  const world = start();
  world.peer.write(Buffer.concat([amqpHeader, frame('open', { container_id: 'x'.repeat(1100) })]));
  expect(await gone(world)).toContain('where 1024 are allowed');
});

test('refused/after OPEN a frame larger than announced ends with CLOSE and a framing error', async () => {
  const world = start();
  await world.peer.open();
  const size = Buffer.alloc(4);
  size.writeUInt32BE(4097);
  world.peer.write(Buffer.concat([size, Buffer.from('02000000', 'hex')]));
  expect(errorOf((await world.peer.next('close')).fields[0]).condition).toBe('amqp:connection:framing-error');
  await gone(world);
});

test('ok/frames may come byte by byte, and many at once', async () => {
  const world = start();
  const bytes = Buffer.concat([
    amqpHeader,
    frame('open', { container_id: 'c', hostname: 'here' }),
    frame('begin', { next_outgoing_id: 1, incoming_window: 10, outgoing_window: 10 }),
  ]);
  for (const byte of bytes) world.peer.write(Buffer.from([byte]));
  await world.peer.next('begin');
  world.peer.write(Buffer.concat([frame('attach', senderAttach(0)), frame('attach', receiverAttach(1))]));
  await world.peer.next('attach', 2);
  expect(world.connection().hostName).toBe('here');
  expect(world.links.map((link) => [link.name, link.peerIs, link.address, link.peerAddress])).toEqual([
    ['link-0', 'sender', 'there', 'me'],
    ['link-1', 'receiver', 'there', 'me'],
  ]);
});

test('ok/OPEN announces the limits and echoes the host name', async () => {
  const { peer } = start();
  await peer.open();
  const { fields } = await peer.next('open');
  expect(fields[0]?.value).toMatch(/^DeviceGateway_[0-9a-f]{32}$/u);
  expect(fields.slice(1, 5).map((field) => field?.value)).toEqual(['localhost', 4096, 1, 240_000]);
  expect((await peer.next('begin')).fields[4]?.value).toBe(3);
});

test('refused/a silent peer after a while', async () => {
  const world = start();
  world.clock.advance(seconds(19));
  expect(world.peer.closed).toBe(false);
  world.clock.advance(seconds(1));
  expect(await gone(world)).toContain('no OPEN in time');
});

test('refused/an open connection without a link after a while', async () => {
  const world = start();
  await world.peer.open();
  world.clock.advance(seconds(20));
  expect(errorOf((await world.peer.next('close')).fields[0]).condition).toBe('amqp:connection:forced');
  expect(await gone(world)).toContain('no link in time');
});

test('ok/empty frames go out at half of the idle time that the peer announced', async () => {
  const world = start();
  await world.peer.open({ idle_time_out: 120_000 });
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('attach');
  world.clock.advance(seconds(59));
  expect(world.peer.named('empty')).toHaveLength(0);
  world.clock.advance(seconds(1));
  await world.peer.next('empty');
  world.clock.advance(seconds(60));
  await world.peer.next('empty', 2);
});

test('refused/a peer that is silent for twice the announced idle time', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('attach');
  world.clock.advance(seconds(479));
  world.peer.write(Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]));
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  world.clock.advance(seconds(479));
  expect(world.peer.named('close')).toHaveLength(0);
  world.clock.advance(seconds(1));
  expect(errorOf((await world.peer.next('close')).fields[0]).condition).toBe('amqp:connection:forced');
  await gone(world);
});

test.each([
  ['max-frame-size below the minimum', { max_frame_size: 1 }],
  ['idle-time-out of a millisecond', { idle_time_out: 1 }],
])('refused/OPEN with %s', async (_, fields) => {
  const world = start();
  world.peer.write(amqpHeader);
  world.peer.send('open', { container_id: 'raw', ...fields });
  expect(await gone(world)).toContain('amqp:invalid-field');
});

test('ok/an idle-time-out of 49 days does not overflow a timer', async () => {
  const world = start();
  await world.peer.open({ idle_time_out: 4294967295 });
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('attach');
  world.clock.advance(seconds(470));
  expect(world.peer.named('empty')).toHaveLength(0);
});

test('refused/an array of four billion nulls in ten bytes', async () => {
  const world = start();
  await world.peer.open();
  // attach with a name, a handle, a role and, as `source`, array32 of size 5, count 2^32-1, constructor null.
  const body = Buffer.from('005312d00000001800000006a1016152004240400000', 'hex').subarray(0, 20);
  const array = Buffer.from('f000000005ffffffff40', 'hex');
  const bytes = Buffer.concat([Buffer.from('0000000002000000', 'hex'), body, array]);
  bytes.writeUInt32BE(bytes.length);
  world.peer.write(bytes);
  expect(errorOf((await world.peer.next('close')).fields[0]).condition).toBe('amqp:decode-error');
  expect(await gone(world)).toContain('more elements than it has bytes');
});

test('refused/values nested without end', async () => {
  const world = start();
  await world.peer.open();
  const levels = Array.from({ length: 60 }, () => Buffer.from('d00000000100000001', 'hex'));
  const bytes = Buffer.concat([Buffer.from('0000000002000000005312', 'hex'), ...levels, Buffer.from([0x40])]);
  bytes.writeUInt32BE(bytes.length);
  world.peer.write(bytes);
  expect(await gone(world)).toContain('nested too deeply');
});

test('refused/a disposition over four billion deliveries', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('disposition', { role: true, first: 0, last: 4294967295, settled: true });
  expect(await gone(world)).toContain('spans too much');
});

test('refused/a disposition with a state that is none, quietly', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('disposition', { role: true, first: 0, state: rheaTypes.described(rheaTypes.wrap_ulong(0x99), rheaTypes.wrap_list([])) });
  expect(await gone(world)).toContain('a state that is none');
});

test('refused/a transaction coordinator, and messages on a refused link, quietly', async () => {
  const written = vi.spyOn(console, 'error');
  const warned = vi.spyOn(console, 'warn');
  const { peer, links } = start();
  await peer.open();
  const coordinator = rheaTypes.described(rheaTypes.wrap_ulong(0x30), rheaTypes.wrap_list([]));
  peer.send('attach', senderAttach(0, { target: coordinator }));
  peer.send('attach', senderAttach(1, { target: target('refused') }));
  peer.send('transfer', { handle: 1, delivery_id: 0, delivery_tag: Buffer.alloc(1) }, { payload: encoded('early') });
  await peer.next('detach');
  expect(links.map((link) => link.address)).toEqual(['']);
  expect([...written.mock.calls, ...warned.mock.calls]).toEqual([]);
  vi.restoreAllMocks();
});

test('refused/more sessions or links than a peer may have', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('begin', { next_outgoing_id: 1, incoming_window: 10, outgoing_window: 10 }, { channel: 1 });
  await world.peer.next('begin', 2);
  world.peer.send('begin', { next_outgoing_id: 1, incoming_window: 10, outgoing_window: 10 }, { channel: 2 });
  expect(errorOf((await world.peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
  const other = start();
  await other.peer.open();
  for (let handle = 0; handle < 5; handle += 1) other.peer.send('attach', senderAttach(handle));
  expect(errorOf((await other.peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
  expect(other.links).toHaveLength(4);
});

test('refused/a link is attached with null termini and detached with the error', async () => {
  const { peer } = start();
  await peer.open();
  peer.send('attach', senderAttach(0, { target: target('refused') }));
  const detach = await peer.next('detach');
  const attach = await peer.next('attach');
  expect(peer.frames.indexOf(attach)).toBeLessThan(peer.frames.indexOf(detach));
  expect([attach.fields[0]?.value, attach.fields[5]?.value ?? null, attach.fields[6]?.value ?? null]).toEqual(['link-0', null, null]);
  expect(detach.fields[1]?.value).toBe(true);
  const error = errorOf(detach.fields[2]);
  expect(error.condition).toBe('amqp:unauthorized-access');
  expect(JSON.parse(error.description)).toMatchObject({ errorCode: 401003, message: 'Not you.' });
  peer.send('detach', { handle: 0, closed: true });
  peer.send('attach', senderAttach(0));
  await peer.next('attach', 2);
});

test('ok/termini and settle modes are echoed, a sender of ours says where it begins', async () => {
  const { peer } = start();
  await peer.open();
  peer.send('attach', receiverAttach(0, { snd_settle_mode: 1, rcv_settle_mode: 1 }));
  const { fields } = await peer.next('attach');
  expect([fields[2]?.value, fields[3]?.value, fields[4]?.value]).toEqual([false, 1, 1]);
  expect([fields[5]?.value[0].value, fields[6]?.value[0].value]).toEqual(['there', 'me']);
  expect([fields[9]?.value, fields[10]?.value]).toEqual([0, 8192]);
});

test('ok/a receiver of ours grants credit, and again as work gets done', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  expect((await world.peer.next('flow')).fields[6]?.value).toBe(10);
  for (let id = 0; id < 10; id += 1) {
    world.peer.send(
      'transfer',
      { handle: 0, delivery_id: id, delivery_tag: Buffer.from([id]), message_format: 0 },
      { payload: encoded('x') },
    );
  }
  await until(() => world.deliveries.length === 10, 'ten deliveries');
  expect(world.peer.named('disposition')).toHaveLength(0);
  for (const { answer } of world.deliveries) answer();
  await until(() => world.peer.named('flow').reduce((most, { fields }) => Math.max(most, fields[6]?.value ?? 0), 0) === 10, 'credit again');
});

test('ok/a delivery is accepted when the work is done, not before; and rejected with what was thrown', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  for (const id of [0, 1]) {
    world.peer.send(
      'transfer',
      { handle: 0, delivery_id: id, delivery_tag: Buffer.alloc(16, id), message_format: 0 },
      { payload: encoded('x') },
    );
  }
  await until(() => world.deliveries.length === 2, 'two deliveries');
  expect(world.peer.named('disposition')).toHaveLength(0);
  world.deliveries[1]?.answer(new ServiceError('DpsConflict', 'Busy.', { retryAfterSeconds: 3 }));
  const rejected = await world.peer.next('disposition');
  expect([rejected.fields[1]?.value, rejected.fields[3]?.value, rejected.fields[4]?.descriptor?.value]).toEqual([1, true, 0x25]);
  const error = rejected.fields[4]?.value[0];
  expect(errorOf(error)).toMatchObject({ condition: 'amqp:resource-locked' });
  const info = error.value[2].value as { type: { name: string }; value: unknown }[];
  expect(info.filter((_, at) => at % 2 === 0).map((key) => [key.type.name, key.value])).toContainEqual(['Sym8', 'retry-after']);
  world.deliveries[0]?.answer();
  const accepted = await world.peer.next('disposition', 2);
  expect([accepted.fields[1]?.value, accepted.fields[3]?.value, accepted.fields[4]?.descriptor?.value]).toEqual([0, true, 0x24]);
});

test('refused/a failure of ours says nothing of itself, and is logged', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  world.peer.send('transfer', { handle: 0, delivery_id: 0, delivery_tag: Buffer.alloc(16) }, { payload: encoded('x') });
  await until(() => world.deliveries.length === 1, 'a delivery');
  world.deliveries[0]?.answer(new Error('secret of the store'));
  const error = errorOf((await world.peer.next('disposition')).fields[4]?.value[0]);
  expect(error.condition).toBe('amqp:internal-error');
  expect(error.description).not.toContain('secret');
  expect(world.log.named('amqp.failure')).toHaveLength(1);
});

test('refused/a message that is no message is rejected, and the link goes on', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  const transfer = (id: number, payload: Buffer): void =>
    world.peer.send('transfer', { handle: 0, delivery_id: id, delivery_tag: Buffer.from([id]), message_format: 0 }, { payload });
  transfer(0, Buffer.from('ffffffffff', 'hex'));
  expect(errorOf((await world.peer.next('disposition')).fields[4]?.value[0]).condition).toBe('com.microsoft:argument-error');
  transfer(1, encoded('fine'));
  await until(() => world.deliveries.length === 1, 'the next delivery');
});

test('refused/a message without end, in small frames, detaches its link', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  const piece = Buffer.alloc(2000);
  for (let at = 0; at < 6; at += 1) {
    world.peer.send(
      'transfer',
      { handle: 0, delivery_id: 0, delivery_tag: Buffer.alloc(1), message_format: 0, more: true },
      { payload: piece },
    );
  }
  expect(errorOf((await world.peer.next('detach')).fields[2]).condition).toBe('amqp:link:message-size-exceeded');
  expect(world.closed).toEqual(['link-0']);
  world.peer.send('attach', senderAttach(1));
  await world.peer.next('attach', 2);
});

test('refused/a message without credit', async () => {
  const world = start({ credit: 1 });
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  for (const id of [0, 1])
    world.peer.send('transfer', { handle: 0, delivery_id: id, delivery_tag: Buffer.from([id]) }, { payload: encoded('x') });
  expect(errorOf((await world.peer.next('detach')).fields[2]).condition).toBe('amqp:link:transfer-limit-exceeded');
});

test('ok/an aborted message is not handed on', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  const tag = { handle: 0, delivery_tag: Buffer.alloc(1), message_format: 0 };
  world.peer.send('transfer', { ...tag, delivery_id: 0, more: true }, { payload: encoded('half') });
  world.peer.send('transfer', { ...tag, delivery_id: 0, aborted: true });
  world.peer.send('transfer', { ...tag, delivery_id: 1 }, { payload: encoded('whole') });
  await until(() => world.deliveries.length === 1, 'the whole message');
  expect(world.deliveries[0]?.delivery.message.body).toEqual({ kind: 'data', sections: [Buffer.from('whole')] });
});

test('ok/nothing more is read while too many bytes are being worked on', async () => {
  const world = start({ inflightBytes: 5000 });
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  for (let id = 0; id < 5; id += 1) {
    world.peer.send('transfer', { handle: 0, delivery_id: id, delivery_tag: Buffer.from([id]) }, { payload: encoded('x'.repeat(3000)) });
  }
  await until(() => world.deliveries.length === 2, 'two deliveries');
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(world.deliveries).toHaveLength(2);
  for (let at = 0; at < 5; at += 1) {
    await until(() => world.deliveries.length > at, 'the next delivery');
    world.deliveries[at]?.answer();
  }
  await until(() => world.peer.named('disposition').length > 0, 'dispositions');
});

test('ok/one name in both directions, and again after a detach, are separate links', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0, { name: 'same' }));
  world.peer.send('attach', receiverAttach(1, { name: 'same' }));
  await world.peer.next('attach', 2);
  world.peer.send('detach', { handle: 0, closed: true });
  world.peer.send('attach', senderAttach(0, { name: 'same' }));
  await world.peer.next('attach', 3);
  await world.peer.next('detach');
  expect(world.closed).toEqual(['same']);
  expect(world.links.map((link) => link.isClosed)).toEqual([true, false, false]);
});

test('ok/a message waits for credit without holding up another link of the session', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', receiverAttach(0));
  world.peer.send('attach', receiverAttach(1));
  await world.peer.next('attach', 2);
  world.links[0]?.send({ body: Buffer.from('first') });
  world.links[1]?.send({ body: Buffer.from('second') });
  const credit = {
    next_incoming_id: 0,
    incoming_window: 100,
    next_outgoing_id: 1,
    outgoing_window: 100,
    delivery_count: 0,
    link_credit: 5,
  };
  world.peer.send('flow', { ...credit, handle: 1 });
  const second = await world.peer.next('transfer');
  expect(second.payload.toString()).toContain('second');
  expect([second.fields[2]?.value.length, second.fields[4]?.value]).toEqual([16, true]);
  world.peer.send('flow', { ...credit, handle: 0 });
  expect((await world.peer.next('transfer', 2)).payload.toString()).toContain('first');
});

test('refused/a peer that never reads what it asked for', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', receiverAttach(0));
  await world.peer.next('attach');
  for (let at = 0; at < 9; at += 1) world.links[0]?.send({ body: Buffer.from('x') });
  expect(await gone(world)).toBe('slow consumer');
});

test('refused/answers that wait for credit beyond the bytes that may wait', async () => {
  const world = start({ queuedMessages: 1000 });
  await world.peer.open();
  world.peer.send('attach', receiverAttach(0));
  await world.peer.next('attach');
  for (let at = 0; at < 66; at += 1) world.links[0]?.send({ body: Buffer.alloc(1000) });
  expect(await gone(world)).toBe('slow consumer');
});

test('refused/new connections and messages while all connections together hold too much; then served again', async () => {
  const budget = createByteBudget(20_000);
  const slow = start({}, budget);
  await slow.peer.open();
  slow.peer.send('attach', receiverAttach(0));
  await slow.peer.next('attach');
  const other = start({}, budget);
  await other.peer.open();
  other.peer.send('attach', senderAttach(0));
  await other.peer.next('attach');
  for (let at = 0; at < 8; at += 1) slow.links[0]?.send({ body: Buffer.alloc(2600) });
  expect(budget.isSpent).toBe(true);
  const late = start({}, budget);
  late.peer.write(amqpHeader);
  late.peer.send('open', { container_id: 'raw', hostname: 'localhost' });
  late.peer.send('begin', { next_outgoing_id: 1, incoming_window: 10, outgoing_window: 10 });
  expect(errorOf((await late.peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
  other.peer.transfer(0, { body: 'x' });
  const state = (await other.peer.next('disposition')).fields[4];
  expect(state?.descriptor?.value).toBe(0x25);
  expect(other.deliveries).toEqual([]);
  slow.peer.stream.destroy();
  await gone(slow);
  await until(() => !budget.isSpent, 'room');
  other.peer.transfer(0, { body: 'y' });
  await until(() => other.deliveries.length === 1, 'the message');
});

test('refused/a peer whose socket takes nothing', async () => {
  const world = start({ queuedMessages: 100_000 });
  await world.peer.open();
  world.peer.send('attach', receiverAttach(0));
  await world.peer.next('attach');
  world.peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 9999,
    next_outgoing_id: 1,
    outgoing_window: 9,
    handle: 0,
    delivery_count: 0,
    link_credit: 9999,
  });
  await until(() => world.links.length === 1, 'a link');
  world.peer.stream.pause();
  for (let at = 0; at < 200; at += 1) {
    world.links[0]?.send({ body: Buffer.alloc(1000) });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(world.log.named('amqp.connection')[0]?.['reason']).toBe('slow consumer');
});

test('ok/SASL may be skipped, or chosen; a client need not wait for its outcome', async () => {
  const world = start();
  world.peer.write(
    Buffer.concat([
      saslHeader,
      frame('sasl_init', { mechanism: 'PLAIN', initial_response: Buffer.from('\0user\0Shared sr=a&sig=b%3d&se=1') }),
      amqpHeader,
      frame('open', { container_id: 'eager', hostname: 'h' }),
    ]),
  );
  await world.peer.next('open');
  expect((await world.peer.next('sasl_mechanisms')).fields[0]?.value.map((name: { value: string }) => name.value ?? name)).toEqual([
    'EXTERNAL',
    'MSSBCBS',
    'PLAIN',
    'ANONYMOUS',
  ]);
  expect((await world.peer.next('sasl_outcome')).fields[0]?.value).toBe(0);
  expect(world.connection().plain).toEqual({ user: 'user', password: 'Shared sr=a&sig=b%3d&se=1' });
  expect(world.peer.headers).toEqual([saslHeader, amqpHeader]);
});

test.each([
  ['EXTERNAL without a certificate', 'EXTERNAL', Buffer.alloc(0)],
  ['PLAIN without a user', 'PLAIN', Buffer.from('\0\0secret')],
  ['PLAIN that is cut short', 'PLAIN', Buffer.from('user')],
  ['a mechanism that is a method of objects', 'toString', Buffer.alloc(0)],
])('refused/%s', async (_, mechanism, initialResponse) => {
  const world = start();
  world.peer.write(Buffer.concat([saslHeader, frame('sasl_init', { mechanism, initial_response: initialResponse })]));
  expect((await world.peer.next('sasl_outcome')).fields[0]?.value).toBe(1);
  world.clock.advance(seconds(20));
  expect(await gone(world)).toContain('no OPEN in time');
});

test('ok/cut says why on every link and on the connection, then closes', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  world.peer.send('attach', receiverAttach(1));
  await world.peer.next('attach', 2);
  await world.connection().cut({ condition: 'amqp:unauthorized-access', description: 'out' });
  await until(() => world.peer.named('close').length === 1, 'CLOSE');
  expect(world.peer.named('detach').map(({ fields }) => errorOf(fields[2]).condition)).toEqual([
    'amqp:unauthorized-access',
    'amqp:unauthorized-access',
  ]);
  expect(errorOf(world.peer.named('close')[0]?.fields[0])).toEqual({ condition: 'amqp:unauthorized-access', description: 'out' });
  expect(await gone(world)).toBe('cut: amqp:unauthorized-access');
  expect(world.closed).toEqual(['link-0', 'link-1', 'connection']);
});

test('ok/a cut does not wait for a peer that reads nothing', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('attach');
  world.peer.stream.pause();
  let over = false;
  const cutting = world.connection().cut({ condition: 'amqp:unauthorized-access', description: 'out' });
  void cutting.then(() => (over = true));
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  world.clock.advance(seconds(1));
  await until(() => over, 'the cut');
});

test('ok/what comes after the cut counts no more', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('flow');
  const cutting = world.connection().cut({ condition: 'amqp:unauthorized-access', description: 'out' });
  world.peer.send('transfer', { handle: 0, delivery_id: 0, delivery_tag: Buffer.alloc(1) }, { payload: encoded('late') });
  await cutting;
  await gone(world);
  expect(world.deliveries).toHaveLength(0);
});

test('ok/CLOSE is answered, END ends the links of its session', async () => {
  const world = start();
  await world.peer.open();
  world.peer.send('attach', senderAttach(0));
  await world.peer.next('attach');
  world.peer.send('end', {});
  await world.peer.next('end');
  expect(world.closed).toEqual(['link-0']);
  world.peer.send('close', {});
  await world.peer.next('close');
  expect(await gone(world)).toBe('closed');
});

test('ok/no sequence of bytes harms more than its own connection', async () => {
  const attach = frame('attach', senderAttach(0));
  const known = [
    amqpHeader,
    saslHeader,
    frame('open', { container_id: 'f' }),
    frame('begin', { next_outgoing_id: 1, incoming_window: 5, outgoing_window: 5 }),
    attach,
  ];
  const piece = fc.oneof(
    fc.constantFrom(...known),
    fc.uint8Array({ maxLength: 60 }).map((body) => {
      const bytes = Buffer.concat([Buffer.alloc(8), body]);
      bytes.writeUInt32BE(bytes.length);
      bytes.writeUInt8(2, 4);
      return bytes;
    }),
    // A well-formed frame with one byte changed.
    fc.tuple(fc.constantFrom(...known), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([bytes, at, value]) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length] = value;
      return copy;
    }),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
  );
  const written = (['log', 'warn', 'error', 'trace'] as const).map((method) => vi.spyOn(console, method));
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(piece, { maxLength: 12 }), async (wellBegun, pieces) => {
      const world = start();
      if (wellBegun) world.peer.write(Buffer.concat(known.filter((bytes) => bytes !== saslHeader)));
      for (const bytes of pieces) world.peer.write(bytes);
      world.peer.stream.end();
      for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      world.clock.advance(seconds(1000));
      await world.server.closed;
      expect(world.log.named('amqp.connection')).toHaveLength(1);
      expect(world.closed.at(-1)).toBe('connection');
    }),
    { numRuns: 300 },
  );
  // rhea writes what peers send to the console, unless it is kept from it.
  expect(written.flatMap((spy) => spy.mock.calls)).toEqual([]);
  vi.restoreAllMocks();
});

test('ok/rhea itself is guarded, wherever it reads', () => {
  const array = Buffer.from('f000000005ffffffff43', 'hex');
  expect(() => new rheaTypes.Reader(array).read()).toThrow('more elements');
  expect(() => new rheaTypes.Reader(Buffer.from('d000000005ffffffff', 'hex')).read()).toThrow('more elements');
  expect(() => new rheaTypes.Reader(Buffer.from('a105616263', 'hex')).read()).toThrow('past its end');
});
