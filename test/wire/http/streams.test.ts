import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { seconds } from '../../../src/kernel/clock.ts';
import type { PeerConnection } from '../../../src/transports/connection.ts';
import { HttpEngine } from '../../../src/transports/http/engine/http-engine.ts';
import type { HttpEngineLimits, RouteGroup, ServerSentEvent } from '../../../src/transports/http/engine/route.ts';
import { renderDpsError } from '../../../src/transports/http/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { openLoopback, rawPeer, type Loopback } from './loopback.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

const limits: HttpEngineLimits = {
  connections: 8,
  headBytes: 4096,
  connectSeconds: 20,
  keepAliveSeconds: 120,
  exchangeSeconds: 100,
  pipelined: 4,
  webSocketMessageBytes: 4096,
  closeGraceSeconds: 5,
  heartbeatSeconds: 15,
};

let clock: FakeClock;
let log: RecordingLog;
let engine: HttpEngine;
let loopback: Loopback;
let taken: { readonly protocol: 'mqtt' | 'amqp'; readonly connection: PeerConnection }[];
let source: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>;

const group: RouteGroup = {
  owns: () => true,
  renderError: renderDpsError,
  routes: [{ method: 'GET', path: '/events', handle: async () => ({ status: 200, events: (signal) => source(signal) }) }],
};

/** Echoes what comes in, as an engine would answer on the stream it was handed. */
const take = (protocol: 'mqtt' | 'amqp') => (connection: PeerConnection) => {
  taken.push({ protocol, connection });
  connection.stream.on('data', (chunk) => void connection.stream.write(chunk));
  connection.stream.on('end', () => connection.stream.end());
};

beforeEach(async () => {
  clock = new FakeClock();
  log = new RecordingLog();
  taken = [];
  const webSockets = { mqtt: take('mqtt'), amqp: take('amqp') };
  engine = await HttpEngine.open({ groups: [group], webSockets, clock, ids: new FakeIds(), log, limits });
  loopback = await openLoopback(engine);
});

afterEach(async () => {
  const closing = engine.close();
  clock.advance(seconds(limits.closeGraceSeconds));
  await closing;
  await loopback.close();
});

/** The reset that comes with being cut off is an error event, and what the test waits for. */
const drainedOrClosed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });

const isGone = async (): Promise<void> => {
  while (engine.connectionCount() > 0) await new Promise(setImmediate);
};

describe('WebSockets', () => {
  const open = (protocols: string | string[], path = '/$iothub/websocket'): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${loopback.port}${path}`, protocols);

  test.each([
    ['mqtt', 'mqtt', '/$iothub/websocket'],
    ['MQTT', 'mqtt', '/$iothub/websocket?iothub-no-client-cert=false'],
    ['AMQPWSB10', 'amqp', '/$iothub/websocket'],
    ['AMQPWSB10', 'amqp', '/$servicebus/websocket'],
    ['mqtt', 'mqtt', '/'],
    ['mqtt', 'mqtt', '/any/%zz?x=1'],
  ])('%s is handed to %s on %s, its name echoed as offered', async (protocol, taker, path) => {
    const certificate = new Uint8Array([0x30]);
    loopback.present([certificate]);
    const socket = open(protocol, path);
    await once(socket, 'open');
    expect(socket.protocol).toBe(protocol);
    const echoed = once(socket, 'message');
    socket.send(Buffer.from([1, 2, 3]));
    const [data, isBinary] = await echoed;
    expect([data, isBinary]).toEqual([Buffer.from([1, 2, 3]), true]);
    expect(taken).toMatchObject([{ protocol: taker, connection: { certificates: [certificate], remoteAddress: '127.0.0.1' } }]);
    socket.close();
    await once(socket, 'close');
    await isGone();
    expect(log.events).toMatchObject([{ event: 'http.request', fields: { status: 101, route: 'websocket', protocol } }]);
  });

  test('the first protocol that is spoken here is chosen', async () => {
    const socket = open(['soap', 'MQTT', 'AMQPWSB10']);
    await once(socket, 'open');
    expect(socket.protocol).toBe('MQTT');
    socket.terminate();
    await isGone();
  });

  test.each([
    [
      'no sub-protocol',
      'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
    ],
    [
      'a strange one',
      'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: soap\r\n',
    ],
    ['no WebSocket', 'Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n'],
    ['no key', 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n'],
  ])('an upgrade with %s is 400', async (_, headers) => {
    const peer = await rawPeer(loopback.port, `GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\n${headers}\r\n`);
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 400 /u);
    expect(taken).toEqual([]);
  });

  test('a message above the bound ends the WebSocket, a text frame too', async () => {
    const large = open('mqtt');
    await once(large, 'open');
    large.send(Buffer.alloc(limits.webSocketMessageBytes + 1));
    expect((await once(large, 'close'))[0]).toBe(1009);
    const text = open('mqtt');
    await once(text, 'open');
    text.send('text');
    expect((await once(text, 'close'))[0]).toBe(1003);
    await isGone();
  });

  const upgrade =
    'GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n';
  /** A masked frame; the mask is zero, so the payload stands as it is. */
  const masked = (first: number, payload: Buffer): Buffer =>
    Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload]);

  test('a ping is answered', async () => {
    const socket = open('mqtt');
    await once(socket, 'open');
    socket.ping('are you there');
    expect(String((await once(socket, 'pong'))[0])).toBe('are you there');
  });

  test('a peer that asks for pongs and reads none is cut off', async () => {
    const peer = await rawPeer(loopback.port, upgrade);
    await peer.until((text) => text.includes('\r\n\r\n'));
    peer.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => masked(0x89, Buffer.alloc(125))));
    let sent = 0;
    // Far more than the sockets of both ends hold.
    while (engine.connectionCount() > 0 && sent < 64 * 1024 * 1024) {
      sent += pings.length;
      if (!peer.socket.write(pings)) await drainedOrClosed(peer.socket);
      await new Promise(setImmediate);
    }
    expect(engine.connectionCount()).toBe(0);
  });

  test('a message in more pieces than any client makes ends the WebSocket', async () => {
    const peer = await rawPeer(loopback.port, upgrade);
    await peer.until((text) => text.includes('\r\n\r\n'));
    peer.socket.write(
      Buffer.concat([masked(0x02, Buffer.from('x')), ...Array.from({ length: 1100 }, () => masked(0x00, Buffer.from('x')))]),
    );
    await peer.ended();
    expect(taken).toHaveLength(1);
  });

  test('leaving without a close handshake ends the stream and is no error', async () => {
    const socket = open('AMQPWSB10');
    await once(socket, 'open');
    const stream = taken[0]?.connection.stream;
    const ended = once(stream!, 'end');
    socket.terminate();
    await ended;
    await isGone();
    expect(log.events.every(({ level }) => level === 'info')).toBe(true);
  });

  test('an open WebSocket outlives the deadlines of requests, and ends with 1001 when the door closes', async () => {
    const socket = open('mqtt');
    await once(socket, 'open');
    clock.advance(seconds(10_000));
    const echoed = once(socket, 'message');
    socket.send(Buffer.from([7]));
    await echoed;
    const closed = once(socket, 'close');
    await engine.close();
    expect((await closed)[0]).toBe(1001);
  });
});

describe('server-sent events', () => {
  const get = 'GET /events HTTP/1.1\r\nHost: h\r\n\r\n';

  test('are written with id and data, one line of data each; the stream ends with its source', async () => {
    source = async function* () {
      yield { id: '1', data: '{"a":1}' };
      yield { id: '2', event: 'note', data: 'two\nlines' };
    };
    const peer = await rawPeer(loopback.port, get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    const text = await peer.ended();
    expect(text).toMatch(/^HTTP\/1.1 200 [\s\S]*content-type: text\/event-stream/iu);
    expect(text).toMatch(/x-ms-request-id: /iu);
    expect(text).toContain('id: 1\ndata: {"a":1}\n\n');
    expect(text).toContain('id: 2\nevent: note\ndata: two\ndata: lines\n\n');
  });

  test('beat while nothing happens, past every deadline, and stop when the client leaves', async () => {
    let stopped: () => void = () => {};
    const hasStopped = new Promise<void>((resolve) => (stopped = resolve));
    source = async function* (signal) {
      yield { data: 'first' };
      await once(signal, 'abort');
      stopped();
    };
    const peer = await rawPeer(loopback.port, get);
    await peer.until((text) => text.includes('data: first'));
    for (let beat = 1; beat <= 10; beat += 1) {
      clock.advance(seconds(limits.heartbeatSeconds));
      await peer.until((text) => text.split(': still here').length === beat + 1);
    }
    peer.socket.destroy();
    await hasStopped;
    await isGone();
    expect(clock.pending).toBe(0);
  });

  test('wait for a client that does not read, and let it go after two heartbeats', async () => {
    const state = { produced: 0, isStopped: false };
    const data = 'x'.repeat(65_536);
    source = async function* () {
      try {
        for (;;) {
          state.produced += 1;
          yield { data };
        }
      } finally {
        state.isStopped = true;
      }
    };
    const peer = await rawPeer(loopback.port);
    peer.socket.pause();
    peer.socket.write(get);
    while (state.produced === 0) await new Promise(setImmediate);
    // Without back-pressure the source would never be left alone long enough for a heartbeat to come.
    while (!state.isStopped) {
      clock.advance(seconds(limits.heartbeatSeconds));
      await new Promise(setImmediate);
    }
    // What the kernel buffers is finite.
    expect(state.produced).toBeLessThan(1000);
    await isGone();
    peer.socket.destroy();
  });

  test('a source that fails ends the stream and is logged once, whole', async () => {
    source = async function* () {
      yield { data: 'first' };
      throw new TypeError('broken source');
    };
    const peer = await rawPeer(loopback.port, get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect(await peer.ended()).not.toContain('broken source');
    await isGone();
    expect(log.events).toMatchObject([{ event: 'http.request', level: 'error' }]);
  });

  test('end when the door closes', async () => {
    source = async function* (signal) {
      yield { data: 'first' };
      await once(signal, 'abort');
    };
    const peer = await rawPeer(loopback.port, get);
    await peer.until((text) => text.includes('data: first'));
    await engine.close();
    expect(await peer.ended()).toMatch(/0\r\n\r\n$/u);
  });
});
