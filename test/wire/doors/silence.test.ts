import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { type ByteBudget, createByteBudget } from '../../../src/kernel/byte-budget.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import type { Door } from '../../../src/transports/connection.ts';
import { createHttpDoor } from '../../../src/transports/http/door.ts';
import { createMqttDoor } from '../../../src/transports/mqtt/door.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { openService, type TestService } from '../amqp/service.ts';
import { type Loopback, openLoopback, rawPeer, type RawPeer } from '../http/loopback.ts';

/** Clients of port 443 that begin something and stop: what it costs, and how it ends. */

let budget: ByteBudget;
let service: TestService;
let mqtt: Door<'mqtt' | 'mqtt-ws'>;
let http: Door<'https'>;
let loopback: Loopback;

beforeEach(async () => {
  budget = createByteBudget(64 * 1024 * 1024);
  service = await openService({ budget });
  const deps = { ...service, budget, ids: new FakeIds() };
  mqtt = createMqttDoor(deps);
  const webSockets = {
    mqtt: (connection: Parameters<typeof mqtt.accept>[0]) => mqtt.accept(connection, 'mqtt-ws'),
    amqp: (connection: Parameters<typeof mqtt.accept>[0]) => service.door.accept(connection, 'amqp-ws'),
  };
  http = await createHttpDoor({ ...deps, webSockets });
  loopback = await openLoopback({ accept: (connection) => http.accept(connection, 'https') });
});

afterEach(async () => {
  const closing = http.close();
  service.clock.advance(seconds(limits.httpCloseGraceSeconds));
  await closing;
  await loopback.close();
  await mqtt.close();
  await service.close();
});

const upgrade = (protocol: string): string =>
  `GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`;

/** A masked binary frame that declares 100,000 bytes, and the first 50,000 of them. The mask is zero. */
const halfFrame = Buffer.concat([Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0]), Buffer.alloc(50_000, 0x10)]);
/** A whole frame with the beginning of a CONNECT, or of AMQP's header, inside. */
const frameOf = (payload: Buffer): Buffer => Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]);

async function until(isSo: () => boolean, what: string): Promise<void> {
  const patience = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > patience) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function endsWith(peer: RawPeer): Promise<string> {
  const ending = peer.ended();
  service.clock.advance(seconds(limits.connectSeconds - 1));
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(peer.socket.destroyed).toBe(false);
  service.clock.advance(seconds(1));
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  // Whoever does not take part in the farewell gets a moment, and no more.
  service.clock.advance(seconds(limits.httpCloseGraceSeconds));
  return ending;
}

test.each([
  ['nothing', ''],
  ['half a head', 'GET /devices HTTP/1.1\r\nHost: h\r\nAuth'],
])('who says %s is told so after 20 seconds', async (_, said) => {
  const peer = await rawPeer(loopback.port, said);
  await until(() => http.connectionCount() === 1, 'the connection');
  expect(await endsWith(peer)).toContain('408 Request Timeout');
  await until(() => http.connectionCount() === 0, 'nobody');
  expect(budget.used).toBe(0);
});

test.each([
  ['mqtt', 'nothing', Buffer.alloc(0), 0],
  ['mqtt', 'half a WebSocket frame', halfFrame, halfFrame.length],
  ['mqtt', 'half a CONNECT', frameOf(Buffer.from([0x10, 0x20, 0x00])), 3],
  ['AMQPWSB10', 'nothing', Buffer.alloc(0), 0],
  ['AMQPWSB10', 'half a WebSocket frame', halfFrame, halfFrame.length],
  ['AMQPWSB10', 'half a header', frameOf(Buffer.from('AMQP')), 4],
])(
  'who opens a WebSocket for %s and sends %s ends 20 seconds later, and is counted as far as it came',
  async (protocol, _, bytes, held) => {
    const peer = await rawPeer(loopback.port, upgrade(protocol));
    await peer.until((text) => text.includes('101 Switching Protocols') && text.includes('\r\n\r\n'));
    if (bytes.length > 0) peer.socket.write(bytes);
    await until(() => budget.used === held, `${held} bytes, not ${budget.used}`);
    await endsWith(peer);
    await until(() => http.connectionCount() === 0, 'nobody');
    expect([budget.used, mqtt.connectionCount(), service.door.connectionCount()]).toEqual([0, 0, 0]);
  },
);

test('a WebSocket message that comes in pieces is counted until it is whole', async () => {
  const peer = await rawPeer(loopback.port, upgrade('mqtt'));
  await peer.until((text) => text.includes('\r\n\r\n'));
  peer.socket.write(halfFrame);
  await until(() => budget.used === halfFrame.length, 'half of it');
  // The client's pings, in between, count for nothing, and are answered.
  for (let at = 0; at < 20; at += 1) peer.socket.write(Buffer.from([0x89, 0x80, 0, 0, 0, 0]));
  peer.socket.write(Buffer.alloc(50_000, 0x10));
  // Now it is the protocol's: 100,000 bytes of CONNECTs that are none.
  await once(peer.socket, 'close');
  await until(() => budget.used === 0, 'nothing held');
});
