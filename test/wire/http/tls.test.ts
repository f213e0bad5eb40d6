import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { seconds } from '../../../src/kernel/clock.ts';
import { HttpEngine } from '../../../src/transports/http/engine/http-engine.ts';
import { renderDpsError } from '../../../src/transports/http/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';

// The other tests put plain sockets in the place of TLS ones; this one shows that the engine takes both.

const now = Date.now();
const year = 365 * 86_400_000;
const certified = (subject: string) => make({ subject, key: ecKey(), notBefore: now - year, notAfter: now + year });
const server = certified('localhost');
const device = certified('device');
const pemOf = ({ key }: ReturnType<typeof certified>): string => key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;

const clock = new FakeClock();
const listener = createServer({ key: pemOf(server), cert: server.pem, requestCert: true, rejectUnauthorized: false });
let engine: HttpEngine;
let client: RequestOptions;

beforeAll(async () => {
  engine = await HttpEngine.open({
    groups: [
      {
        owns: () => true,
        renderError: renderDpsError,
        routes: [
          {
            method: 'POST',
            path: '/echo',
            handle: async (call) => ({
              status: 200,
              body: { body: await call.readJson(1_000_000), shown: [...call.peer.certificates].length, serverName: call.peer.serverName },
            }),
          },
        ],
      },
    ],
    webSockets: { mqtt: ({ stream }) => void stream.pipe(stream), amqp: ({ stream }) => void stream.pipe(stream) },
    clock,
    ids: new FakeIds(),
    log: new RecordingLog(),
    limits: {
      connections: 8,
      headBytes: 4096,
      connectSeconds: 20,
      keepAliveSeconds: 120,
      exchangeSeconds: 100,
      pipelined: 4,
      webSocketMessageBytes: 65_536,
      closeGraceSeconds: 5,
      heartbeatSeconds: 15,
    },
  });
  listener.on('secureConnection', (stream: TLSSocket) => {
    const shown = stream.getPeerX509Certificate();
    engine.accept({
      stream,
      certificates: shown === undefined ? [] : [shown.raw],
      serverName: typeof stream.servername === 'string' ? stream.servername : undefined,
      remoteAddress: stream.remoteAddress ?? '',
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  client = { host: '127.0.0.1', port, servername: 'localhost', ca: server.pem, cert: device.pem, key: pemOf(device) };
});
afterAll(async () => {
  const closing = engine.close();
  clock.advance(seconds(5));
  await closing;
  listener.close();
});

test('two requests on one kept-alive TLS connection, with a client certificate', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (const text of ['x', 'y'.repeat(300_000)]) {
    const sent = request({ ...client, agent, method: 'POST', path: '/echo' });
    sent.end(JSON.stringify(text));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const body = JSON.parse(Buffer.concat((await answer.toArray()) as Buffer[]).toString());
    expect(body).toEqual({ body: text, shown: 1, serverName: 'localhost' });
  }
  expect(engine.connectionCount()).toBe(1);
  agent.destroy();
});

test('a WebSocket inside TLS', async () => {
  // The typings of ws do not know `servername`; TLS does.
  const options = { servername: 'localhost', ca: server.pem, cert: device.pem, key: pemOf(device) };
  const socket = new WebSocket(`wss://127.0.0.1:${String(client.port)}/$iothub/websocket`, 'mqtt', options);
  await once(socket, 'open');
  const echoed = once(socket, 'message');
  socket.send(Buffer.alloc(50_000, 7));
  expect(((await echoed) as [Buffer])[0].length).toBeGreaterThan(0);
  socket.terminate();
});
