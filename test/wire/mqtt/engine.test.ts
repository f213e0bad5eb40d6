import { expect, test } from 'vitest';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { startEngine } from './test-binding.ts';
import { connectPacket, open, publishPacket, settle, type TestClient } from './test-client.ts';

type Engine = ReturnType<typeof startEngine>;

async function enter(engine: Engine, keepalive = 60): Promise<TestClient> {
  const client = open(engine.door);
  client.connect({ clientId: 'c1', username: 'test', keepalive });
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 0, sessionPresent: false });
  return client;
}

const outcomes = (engine: Engine): unknown[] => engine.log.named('mqtt.connection').map((fields) => fields['outcome']);

test('ok/ping, subscribe, publish, unsubscribe, disconnect', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.send({ cmd: 'pingreq' });
  expect(await client.next()).toMatchObject({ cmd: 'pingresp' });
  expect(await client.subscribe('a/#', 2)).toMatchObject({ cmd: 'suback', messageId: 900, granted: [1] });
  client.publish('a/b', 'hello', 7);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 7 });
  client.send({ cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['a/#'] });
  expect(await client.next()).toMatchObject({ cmd: 'unsuback', messageId: 8 });
  client.send({ cmd: 'disconnect' });
  await client.closed;
  await settle();
  expect(engine.binding.messages).toEqual(['a/b:hello']);
  expect(engine.binding.ends).toEqual(['disconnect']);
  expect(outcomes(engine)).toEqual(['disconnected']);
  expect(engine.door.connectionCount()).toBe(0);
});

test('ok/packets that follow the CONNECT in the same write are dealt with after it', async () => {
  const engine = startEngine();
  const client = open(engine.door);
  client.send(connectPacket({ clientId: 'c1', username: 'test' }), publishPacket('t', 'x', 1), { cmd: 'pingreq' });
  expect([await client.next(), await client.next(), await client.next()].map((packet) => packet?.cmd)).toEqual([
    'connack',
    'puback',
    'pingresp',
  ]);
});

test('ok/a byte at a time', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  const bytes = Buffer.from([0x32, 0x8a, 0x01, 0x00, 0x01, 0x74, 0x00, 0x05, ...Buffer.alloc(133, 0x78)]);
  for (const byte of bytes) client.sendBytes([byte]);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 5 });
  expect(engine.binding.messages).toEqual([`t:${'x'.repeat(133)}`]);
});

test('refused/protocol levels other than 4 get CONNACK 1', async () => {
  for (const protocolVersion of [3, 5] as const) {
    const engine = startEngine();
    const client = open(engine.door);
    client.connect({ clientId: 'c', username: 'test', protocolVersion, protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT' });
    expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 1 });
    expect(await client.next()).toBeUndefined();
    expect(engine.binding.requests).toEqual([]);
  }
});

test('refused/an empty client id gets CONNACK 2, a missing or unknown user name 4', async () => {
  const cases = [
    [{ clientId: '', username: 'test' }, 2],
    [{ clientId: 'c' }, 4],
    [{ clientId: 'c', username: 'somebody else' }, 4],
  ] as const;
  for (const [fields, returnCode] of cases) {
    const engine = startEngine();
    const client = open(engine.door);
    client.connect(fields);
    expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode });
    expect(await client.next()).toBeUndefined();
    await settle();
    expect(outcomes(engine)).toEqual(['refused']);
  }
});

test('refused/the CONNACK code comes from the error table, an unexpected failure is 3 and logged once', async () => {
  const cases = [
    [new ServiceError('IotHubUnauthorized', 'no'), 5, 0],
    [new ServiceError('Throttled', 'later'), 3, 0],
    [new ServiceError('ArgumentInvalid', 'what'), 2, 0],
    [new TypeError('a bug'), 3, 1],
  ] as const;
  for (const [error, returnCode, failures] of cases) {
    const engine = startEngine({ connect: () => Promise.reject(error) });
    const client = open(engine.door);
    client.connect({ clientId: 'c', username: 'test' });
    expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode });
    expect(await client.next()).toBeUndefined();
    expect(engine.log.named('mqtt.failure')).toHaveLength(failures);
    expect(engine.binding.ends).toEqual([]);
  }
});

test('refused/the client still reads its CONNACK when it sent more than a CONNECT', async () => {
  const engine = startEngine({ connect: () => Promise.reject(new ServiceError('IotHubUnauthorized', 'no')) });
  const client = open(engine.door);
  client.send(connectPacket({ clientId: 'c', username: 'test' }), publishPacket('t', Buffer.alloc(5000), 1), publishPacket('t', '', 2));
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 5 });
  await client.closed;
  expect(engine.binding.messages).toEqual([]);
});

test('ok/PUBACKs in the order of arrival, and only after the binding is done', async () => {
  const gates: (() => void)[] = [];
  const engine = startEngine({
    take: (messages) => new Promise((resolve) => gates.push(() => resolve({ taken: Math.min(2, messages.length), replies: [] }))),
  });
  const client = await enter(engine);
  client.send(publishPacket('t', 'a', 11), publishPacket('t', 'b'), publishPacket('t', 'c', 12), { cmd: 'pingreq' });
  await settle();
  expect(client.received.map((packet) => packet.cmd)).toEqual(['connack']);
  gates.shift()?.();
  await settle();
  expect(client.received.map((packet) => packet.messageId ?? packet.cmd)).toEqual(['connack', 11]);
  gates.shift()?.();
  await settle();
  expect(client.received.map((packet) => packet.messageId ?? packet.cmd)).toEqual(['connack', 11, 12, 'pingresp']);
  expect(engine.binding.messages).toEqual(['t:a', 't:b', 't:c']);
});

test('ok/nothing is read from the socket while the binding works', async () => {
  let release: (() => void) | undefined;
  const engine = startEngine({ take: () => new Promise((resolve) => (release = () => resolve({ taken: 1, replies: [] }))) });
  const client = await enter(engine);
  client.publish('t', 'first', 1);
  await settle();
  for (let index = 2; index < 200; index += 1) client.publish('t', Buffer.alloc(4000), index);
  await settle();
  expect(client.stream.writableLength).toBeGreaterThan(400_000);
  release?.();
  await settle();
  expect(client.received.at(-1)).toMatchObject({ cmd: 'puback', messageId: 1 });
});

test('ok/batches are no larger than the limit', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.send(...Array.from({ length: 10 }, (_, index) => publishPacket('t', `${index}`, index + 1)));
  await settle();
  expect(engine.binding.batches).toEqual([4, 4, 2]);
  expect(client.received.slice(1).map((packet) => packet.messageId)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('ok/the PUBACK of a request goes out before its answer', async () => {
  const engine = startEngine({ take: async () => ({ taken: 1, replies: [{ topic: 'res/1', payload: Buffer.from('answer') }] }) });
  const client = await enter(engine);
  await client.subscribe('res/#', 1);
  client.publish('req', '', 3);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 3 });
  expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'res/1', qos: 1, messageId: 1, retain: false, dup: false });
});

test('ok/delivery follows the subscription: its QoS, and nothing without one', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  const send = (topic: string): void => engine.binding.links[0]?.deliver({ topic, payload: Buffer.from('x') });
  send('a/b');
  expect(await client.subscribe('a/+', 0)).toMatchObject({ granted: [0] });
  send('a/b');
  send('a/b/c');
  expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'a/b', qos: 0 });
  await client.subscribe('a/#', 1);
  send('a/b');
  expect(await client.next()).toMatchObject({ cmd: 'publish', topic: 'a/b', qos: 1 });
  client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a/+', 'a/#'] });
  await client.next();
  send('a/b');
  await settle();
  expect(client.received.filter((packet) => packet.cmd === 'publish')).toHaveLength(2);
});

test('refused/a filter that is not granted, or one too many, gets 0x80', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.send({
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: ['secret', 'a', 'b', 'c', 'd', 'a'].map((topic) => ({ topic, qos: 1 as const })),
  });
  expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [128, 1, 1, 1, 128, 1] });
});

test('ok/a message that is refused closes the connection after those before it were acknowledged', async () => {
  const engine = startEngine({
    take: async ([first]) => {
      if (first?.topic === 'forbidden') throw new ServiceError('ArgumentInvalid', 'not there', { detail: 'for the log' });
      return { taken: 1, replies: [] };
    },
  });
  const client = await enter(engine);
  client.send(publishPacket('t', '', 1), publishPacket('forbidden', '', 2), publishPacket('t', '', 3));
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
  expect(await client.next()).toBeUndefined();
  await settle();
  expect(engine.log.named('mqtt.connection')[0]).toMatchObject({ outcome: 'rejected', detail: 'ArgumentInvalid: not there (for the log)' });
  expect(engine.binding.ends).toEqual(['lost']);
});

test('ok/cut destroys the socket at once, even while the binding works, and resolves when it is closed', async () => {
  const engine = startEngine({ take: () => new Promise(() => undefined) });
  const client = await enter(engine);
  client.publish('t', '', 1);
  await settle();
  await engine.binding.links[0]?.cut('device-disabled');
  expect(engine.door.connectionCount()).toBeLessThanOrEqual(1);
  await client.closed;
  await settle();
  expect(client.received.map((packet) => packet.cmd)).toEqual(['connack']);
  expect(engine.binding.ends).toEqual(['cut']);
  expect(engine.log.named('mqtt.connection')[0]).toMatchObject({ outcome: 'cut', detail: 'device-disabled' });
  await engine.binding.links[0]?.cut('again');
});

test('ok/a cut during CONNECT ends the session that comes out of it', async () => {
  const engine = startEngine({ connect: (_, link) => link.cut('device-deleted') });
  const client = open(engine.door);
  client.connect({ clientId: 'c', username: 'test' });
  expect(await client.next()).toBeUndefined();
  await settle();
  expect(engine.binding.ends).toEqual(['cut']);
});

test('ok/a peer that vanishes is lost, and its socket error hurts nobody', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  client.stream.destroy(new Error('unplugged'));
  await settle();
  expect(engine.binding.ends).toEqual(['lost']);
  expect(outcomes(engine)).toEqual(['lost']);
});

test('ok/shutting down closes every connection and turns later ones away', async () => {
  const engine = startEngine();
  const client = await enter(engine);
  await engine.door.close();
  await client.closed;
  expect(engine.binding.ends).toEqual(['shutdown']);
  expect(outcomes(engine)).toEqual(['shutting-down']);
  const late = open(engine.door);
  await late.closed;
  expect(engine.door.connectionCount()).toBe(0);
});

test('ok/the log event counts bytes and time and holds no secret', async () => {
  const engine = startEngine();
  const client = open(engine.door, { transport: 'mqtt-ws', serverName: 'hub.example' });
  client.connect({ clientId: 'c1', username: 'test', password: Buffer.from('SharedAccessSignature sig=very-secret') });
  await client.next();
  engine.clock.advance(1500);
  client.send({ cmd: 'disconnect' });
  await client.closed;
  await settle();
  const [fields] = engine.log.named('mqtt.connection');
  expect(fields).toMatchObject({
    outcome: 'disconnected',
    binding: 'test',
    clientId: 'c1',
    subject: 'c1',
    transport: 'mqtt-ws',
    remoteAddress: '192.0.2.7',
    serverName: 'hub.example',
    bytesOut: 4,
    durationMilliseconds: 1500,
  });
  expect(fields?.['bytesIn']).toBeGreaterThan(50);
  expect(JSON.stringify(engine.log.events)).not.toContain('very-secret');
  expect(engine.binding.requests[0]?.password).toContain('very-secret');
});
