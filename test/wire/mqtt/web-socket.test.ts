import type { AddressInfo } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, expect, test } from 'vitest';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { startEngine, type TestService } from './test-binding.ts';

/** The engine on the streams that the WebSocket library makes: they close and half-close unlike sockets. */

const closers: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function start(service: TestService = {}) {
  const engine = startEngine(service);
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    const stream = createWebSocketStream(socket);
    engine.door.accept({ stream, certificates: [], serverName: undefined, remoteAddress: '127.0.0.1' }, 'mqtt-ws');
  });
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  closers.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { ...engine, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/$iothub/websocket` };
}

async function connect(url: string): Promise<MqttClient> {
  const client = await connectAsync(url, { clientId: 'c1', username: 'test', reconnectPeriod: 0 });
  closers.push(() => void client.end(true));
  return client;
}

const closed = (client: MqttClient): Promise<void> => new Promise((resolve) => client.once('close', () => resolve()));

async function outcomeOf(engine: Awaited<ReturnType<typeof start>>): Promise<unknown> {
  while (engine.door.connectionCount() > 0) await new Promise((resolve) => setImmediate(resolve));
  return engine.log.named('mqtt.connection').map((fields) => [fields['transport'], fields['outcome']]);
}

test('ok/publish and a clean goodbye', async () => {
  const engine = await start();
  const client = await connect(engine.url);
  await client.publishAsync('t', Buffer.alloc(4000, 'x'), { qos: 1 });
  await client.endAsync();
  expect(await outcomeOf(engine)).toEqual([['mqtt-ws', 'disconnected']]);
  expect(engine.binding.ends).toEqual(['disconnect']);
});

test('ok/cut resolves when the WebSocket is gone', async () => {
  const engine = await start();
  const client = await connect(engine.url);
  const gone = closed(client);
  await engine.binding.links[0]?.cut('device-disabled');
  await gone;
  expect(await outcomeOf(engine)).toEqual([['mqtt-ws', 'cut']]);
});

test('refused/the CONNACK arrives before the close', async () => {
  const engine = await start({ connect: () => Promise.reject(new ServiceError('IotHubUnauthorized', 'no')) });
  await expect(connect(engine.url)).rejects.toMatchObject({ code: 5 });
  expect(await outcomeOf(engine)).toEqual([['mqtt-ws', 'refused']]);
});

test('ok/shutting down does not wait for a client that stays', async () => {
  const engine = await start();
  const client = await connect(engine.url);
  const gone = closed(client);
  await engine.door.close();
  await gone;
  expect(await outcomeOf(engine)).toEqual([['mqtt-ws', 'shutting-down']]);
});

test('ok/a client that vanishes is lost', async () => {
  const engine = await start();
  const client = await connect(engine.url);
  client.stream.destroy();
  expect(await outcomeOf(engine)).toEqual([['mqtt-ws', 'lost']]);
});
