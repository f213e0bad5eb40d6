import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { expect, test } from 'vitest';
import { minutes, seconds } from '../../../src/kernel/clock.ts';
import { startEngine } from './test-binding.ts';
import { connectPacket, open, publishPacket, settle, type TestClient } from './test-client.ts';

type Engine = ReturnType<typeof startEngine>;

async function enter(engine: Engine, options: { readonly keepalive?: number; readonly reads?: boolean } = {}): Promise<TestClient> {
  const client = open(engine.door, { reads: options.reads ?? true });
  client.connect({ clientId: 'c1', username: 'test', keepalive: options.keepalive ?? 60 });
  if (options.reads === false) await settle();
  else await client.next();
  return client;
}

async function outcome(engine: Engine): Promise<unknown> {
  await settle();
  const events = engine.log.named('mqtt.connection');
  expect(events).toHaveLength(1);
  expect(engine.door.connectionCount()).toBe(0);
  return events[0]?.['outcome'];
}

test('refused/a CONNECT that declares 256 MiB, on its header alone', async () => {
  const engine = startEngine();
  const client = open(engine.door);
  client.sendBytes([0x10, 0xff, 0xff, 0xff, 0x7f]);
  expect(await client.next()).toBeUndefined();
  expect(await outcome(engine)).toBe('oversized');
});

test('refused/more than the unauthenticated limit before CONNACK, however it is cut', async () => {
  const engine = startEngine({}, { unauthenticatedBytes: 200 });
  const client = open(engine.door);
  client.send(connectPacket({ clientId: 'c', username: `test${'x'.repeat(300)}` }));
  expect(await client.next()).toBeUndefined();
  expect(await outcome(engine)).toBe('oversized');
});

test("refused/more than the binding's limit after CONNACK, without waiting for it", async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.sendBytes([0x30, 0x81, 0x40]);
  expect(await client.next()).toBeUndefined();
  expect(await outcome(engine)).toBe('oversized');
});

test("ok/exactly the binding's limit", async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.publish('t', Buffer.alloc(8192 - 5), 1);
  expect(await client.next()).toMatchObject({ cmd: 'puback' });
});

test('refused/a remaining length of five bytes', async () => {
  const engine = startEngine();
  const client = open(engine.door);
  client.sendBytes([0x10, 0x80, 0x80, 0x80, 0x80, 0x01]);
  expect(await client.next()).toBeUndefined();
  expect(await outcome(engine)).toBe('malformed');
});

test('refused/never CONNECT, or only half of one', async () => {
  for (const bytes of [[], [0x10, 0x20, 0x00, 0x04]]) {
    const engine = startEngine();
    const client = open(engine.door);
    if (bytes.length > 0) client.sendBytes(bytes);
    await settle();
    engine.clock.advance(seconds(19));
    await settle();
    expect(client.isClosed).toBe(false);
    engine.clock.advance(seconds(1));
    await client.closed;
    expect(await outcome(engine)).toBe('connect-timeout');
    expect(engine.clock.pending).toBe(0);
  }
});

test('refused/silence beyond one and a half times the keep-alive; a packet starts it anew', async () => {
  const engine = startEngine();
  const client = await enter(engine, { keepalive: 60 });
  engine.clock.advance(seconds(80));
  client.send({ cmd: 'pingreq' });
  await client.next();
  engine.clock.advance(seconds(89));
  await settle();
  expect(client.isClosed).toBe(false);
  engine.clock.advance(seconds(1));
  await client.closed;
  expect(engine.binding.ends).toEqual(['lost']);
  expect(await outcome(engine)).toBe('keep-alive');
});

test('refused/bytes of an unfinished packet do not count as life', async () => {
  const engine = startEngine();
  const client = await enter(engine, { keepalive: 10 });
  client.sendBytes([0x30, 0x20]);
  for (let turn = 0; turn < 14; turn += 1) {
    engine.clock.advance(seconds(1));
    client.sendBytes([0x00]);
    await settle();
  }
  expect(client.isClosed).toBe(false);
  engine.clock.advance(seconds(1));
  await client.closed;
  expect(await outcome(engine)).toBe('keep-alive');
});

test('ok/without keep-alive, or with a long one, the cap counts', async () => {
  for (const keepalive of [0, 65_535]) {
    const engine = startEngine();
    const client = await enter(engine, { keepalive });
    engine.clock.advance(seconds(1767 * 1.5 - 1));
    await settle();
    expect(client.isClosed).toBe(false);
    engine.clock.advance(seconds(1));
    await client.closed;
  }
});

test('ok/the silence while the binding works is ours', async () => {
  let release: (() => void) | undefined;
  const engine = startEngine({ take: () => new Promise((resolve) => (release = () => resolve({ taken: 1, replies: [] }))) });
  const client = await enter(engine, { keepalive: 10 });
  client.publish('t', '', 1);
  await settle();
  engine.clock.advance(minutes(10));
  await settle();
  expect(client.isClosed).toBe(false);
  release?.();
  expect(await client.next()).toMatchObject({ cmd: 'puback' });
  engine.clock.advance(seconds(14));
  await settle();
  expect(client.isClosed).toBe(false);
});

test('refused/a client that never reads is closed at the outbound limit', async () => {
  const engine = startEngine();
  const client = await enter(engine, { reads: false });
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] });
  await settle();
  const send = (): void => engine.binding.links[0]?.deliver({ topic: 't', payload: Buffer.alloc(4096) });
  for (let index = 0; index < 12; index += 1) send();
  await settle();
  expect(engine.door.connectionCount()).toBe(1);
  for (let index = 0; index < 12; index += 1) send();
  expect(await outcome(engine)).toBe('slow-consumer');
});

test('refused/a client that never acknowledges: a bounded window, a bounded queue, then closed', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  await client.subscribe('#', 1);
  const send = (): void => engine.binding.links[0]?.deliver({ topic: 't', payload: Buffer.alloc(4096) });
  for (let index = 0; index < 8; index += 1) send();
  await settle();
  expect(client.received.slice(2).map((packet) => packet.messageId)).toEqual([1, 2, 3, 4]);
  client.send({ cmd: 'puback', messageId: 2 }, { cmd: 'puback', messageId: 2 }, { cmd: 'puback', messageId: 999 });
  await settle();
  expect(client.received.slice(2).map((packet) => packet.messageId)).toEqual([1, 2, 3, 4, 5]);
  for (let index = 0; index < 20; index += 1) send();
  expect(await outcome(engine)).toBe('slow-consumer');
});

test('refused/what a client must not send', async () => {
  const cases: readonly [string, readonly number[]][] = [
    ['violation', [...bytesOf(connectPacket({ clientId: 'c1', username: 'test' }))]],
    ['violation', [0x34, 0x05, 0x00, 0x01, 0x74, 0x00, 0x01]],
    ['violation', [0x36, 0x05, 0x00, 0x01, 0x74, 0x00, 0x01]],
    ['malformed', [0x32, 0x05, 0x00, 0x01, 0x74, 0x00, 0x00]],
    ['malformed', [0x30, 0x03, 0x00, 0x05, 0x74]],
    ['malformed', [0x30, 0x04, 0x00, 0x02, 0xc3, 0x28]],
    ['malformed', [0x30, 0x03, 0x00, 0x01, 0x00]],
    ['malformed', [0x30, 0x02, 0x00, 0x00]],
    ['malformed', [0x80, 0x06, 0x00, 0x01, 0x00, 0x01, 0x74, 0x01]],
    ['malformed', [0x82, 0x02, 0x00, 0x01]],
    ['malformed', [0x82, 0x06, 0x00, 0x00, 0x00, 0x01, 0x74, 0x01]],
    ['malformed', [0xa2, 0x02, 0x00, 0x01]],
    ['malformed', [0x40, 0x00]],
    ['violation', [0x20, 0x02, 0x00, 0x00]],
    ['violation', [0x62, 0x02, 0x00, 0x01]],
    ['violation', [0xd0, 0x00]],
    ['malformed', [0xf0, 0x00]],
    ['malformed', [0x00, 0x00]],
  ];
  for (const [expected, bytes] of cases) {
    const engine = startEngine();
    const client = await enter(engine);
    client.sendBytes(bytes);
    expect(await client.next(), bytes.join(' ')).toBeUndefined();
    expect(await outcome(engine), bytes.join(' ')).toBe(expected);
  }
});

test('refused/what does not begin with CONNECT, at once', async () => {
  for (const text of ['GET / HTTP/1.1\r\n', 'AMQP\0\x01\0\0', '\x16\x03\x01\x02\0', '\x11\x00']) {
    const engine = startEngine();
    const client = open(engine.door);
    client.sendBytes(Buffer.from(text, 'latin1'));
    expect(await client.next()).toBeUndefined();
    expect(await outcome(engine)).toBe('violation');
  }
});

test('ok/garbage closes its own connection, logs one event, and the next client is served', async () => {
  const engine = startEngine();
  const witness = await enter(engine);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 6 }), async (greets, chunks) => {
      const before = engine.log.named('mqtt.connection').length;
      const client = open(engine.door);
      if (greets) client.connect({ clientId: 'g', username: 'test' });
      for (const chunk of chunks) if (!client.stream.destroyed) client.sendBytes(Buffer.from(chunk));
      await settle();
      client.stream.destroy();
      await settle();
      expect(engine.log.named('mqtt.connection')).toHaveLength(before + 1);
      expect(engine.door.connectionCount()).toBe(1);
    }),
    { numRuns: 150 },
  );
  expect(engine.log.named('mqtt.failure')).toEqual([]);
  witness.send({ cmd: 'pingreq' });
  expect(await witness.next()).toMatchObject({ cmd: 'pingresp' });
});

test('ok/damaged CONNECTs never reach a binding half read, nor harm the service', async () => {
  const whole = bytesOf(
    connectPacket({ clientId: 'c1', username: 'test', will: { topic: 'w', payload: Buffer.from('x'), qos: 1, retain: false } }),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }), async (at, value) => {
      const engine = startEngine();
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      const client = open(engine.door);
      client.sendBytes(bytes);
      await settle();
      client.stream.destroy();
      expect(await outcome(engine)).not.toBe('failed');
      expect(engine.log.named('mqtt.failure')).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

test('refused/connections beyond the limit', async () => {
  const engine = startEngine({}, { connections: 1 });
  const first = await enter(engine);
  const second = open(engine.door);
  await second.closed;
  expect(engine.log.named('mqtt.turned-away')).toHaveLength(1);
  first.send({ cmd: 'disconnect' });
  await first.closed;
  await settle();
  await enter(engine);
});

test('ok/what came before a malformed packet is dealt with first', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.sendBytes(Buffer.concat([bytesOf(publishPacket('t', 'kept', 1)), Buffer.from([0xf0, 0x00])]));
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
  expect(await client.next()).toBeUndefined();
  expect(engine.binding.messages).toEqual(['t:kept']);
});

test('ok/packets are the same however the network cuts them', async () => {
  const messages = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/u), fc.string({ maxLength: 200 })), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(messages, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }), async (sent, cuts) => {
      const engine = startEngine();
      const client = await enter(engine);
      let bytes = Buffer.concat(sent.map(([topic, payload], index) => bytesOf(publishPacket(topic, payload, index + 1))));
      for (let turn = 0; bytes.length > 0; turn += 1) {
        const size = cuts[turn % cuts.length] ?? 1;
        client.sendBytes(bytes.subarray(0, size));
        bytes = bytes.subarray(size);
      }
      await settle();
      await settle();
      expect(engine.binding.messages).toEqual(sent.map(([topic, payload]) => `${topic}:${payload}`));
      expect(client.received.slice(1).map((packet) => packet.messageId)).toEqual(sent.map((_, index) => index + 1));
    }),
    { numRuns: 60 },
  );
});

function bytesOf(packet: Parameters<typeof mqttPacket.generate>[0]): Buffer {
  return mqttPacket.generate(packet);
}
