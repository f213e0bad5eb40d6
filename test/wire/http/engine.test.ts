import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { HttpEngine } from '../../../src/transports/http/engine/http-engine.ts';
import type { HttpEngineLimits, HttpRequest, Route, RouteGroup } from '../../../src/transports/http/engine/route.ts';
import { renderDpsError } from '../../../src/transports/http/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { ask, openLoopback, rawPeer, type Loopback } from './loopback.ts';
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
const bodyLimit = 100_000;

let clock: FakeClock;
let log: RecordingLog;
let engine: HttpEngine;
let loopback: Loopback;
let held: { readonly request: HttpRequest; release(): void }[];
let waitForHeld: () => Promise<void>;

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/things/:id',
    handle: async (request) => ({ status: 200, body: { id: request.params['id'], path: request.path } }),
  },
  { method: 'POST', path: '/things/query', handle: async () => ({ status: 200, body: ['query'] }) },
  {
    method: 'PUT',
    path: '/json',
    handle: async (request) => ({ status: 200, body: { got: (await request.readJson(bodyLimit)) ?? null } }),
  },
  { method: 'POST', path: '/refused', handle: async () => Promise.reject(new ServiceError('DpsUnauthorized', 'no', { detail: 'why' })) },
  {
    method: 'GET',
    path: '/throttled',
    handle: async () => Promise.reject(new ServiceError('Throttled', 'later', { retryAfterSeconds: 7 })),
  },
  { method: 'GET', path: '/own-id', handle: async () => Promise.reject(new ServiceError('DpsUnauthorized', 'no', { trackingId: 'kept' })) },
  { method: 'GET', path: '/bug', handle: async () => Promise.reject(new TypeError('secret internals')) },
  { method: 'GET', path: '/nothing', handle: async () => ({ status: 204 }) },
  {
    method: 'GET',
    path: '/peer',
    handle: async ({ peer, host }) => ({
      status: 200,
      body: { ...peer, stream: undefined, certificates: [...peer.certificates].length, host },
    }),
  },
  {
    method: 'GET',
    path: '/held',
    handle: async (request) => {
      await new Promise<void>((resolve) => {
        held.push({ request, release: resolve });
        onHeld();
      });
      return { status: 200, body: 'released' };
    },
  },
];
let onHeld: () => void = () => {};

const group: RouteGroup = { routes, owns: () => true, renderError: renderDpsError };

beforeEach(async () => {
  clock = new FakeClock();
  log = new RecordingLog();
  held = [];
  waitForHeld = () => new Promise((resolve) => (onHeld = resolve));
  engine = await HttpEngine.open({ groups: [group], clock, ids: new FakeIds(), log, limits });
  loopback = await openLoopback(engine);
});

afterEach(async () => {
  for (const { release } of held) release();
  const closing = engine.close();
  clock.advance(seconds(limits.closeGraceSeconds));
  await closing;
  await loopback.close();
});

const loggedRequests = () => log.events.filter(({ event }) => event === 'http.request');

describe('paths', () => {
  test.each([
    ['/things/dev1', 'dev1'],
    ['/THINGS/Dev1', 'Dev1'],
    ['/things/dev1/', 'dev1'],
    ['/things/a%3Ab', 'a:b'],
    ['/things/a:b', 'a:b'],
    ['/things/a%2Fb', 'a/b'],
    ['/things/100%25', '100%'],
    ['/things/a%252Fb', 'a%2Fb'],
    ['/things/a%2525', 'a%25'],
    ['/things/a%23b%3F', 'a#b?'],
    ['/things/a+b', 'a+b'],
    ['/things/a;b', 'a;b'],
    ['/things/%24edge', '$edge'],
    ['/things/%C3%A9', 'é'],
    [`/things/${'%2D'.repeat(128)}`, '-'.repeat(128)],
    ['/things%2Fdev1', 'dev1'],
    ['/things%2fquery?api-version=x', 'query'],
  ])('%s has the id %s', async (path, id) => {
    const answer = await ask(loopback.port, { path });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ id, path: `/things/${id}` });
  });

  test('a fixed word shadows an id only for its own method', async () => {
    expect((await ask(loopback.port, { path: '/things/query' })).json.id).toBe('query');
    expect((await ask(loopback.port, { method: 'POST', path: '/Things/Query/' })).json).toEqual(['query']);
    expect((await ask(loopback.port, { method: 'POST', path: '/things%2Fquery' })).json).toEqual(['query']);
  });

  test('an escape that decodes to nothing is 400', async () => {
    const answer = await ask(loopback.port, { path: '/things/%zz' });
    expect(answer.status).toBe(400);
    expect(answer.json.errorCode).toBe(400004);
  });

  test('unknown paths are 404, known ones with another method 405 with Allow', async () => {
    expect((await ask(loopback.port, { path: '/elsewhere' })).json.errorCode).toBe(404000);
    const refused = await ask(loopback.port, { method: 'DELETE', path: '/things/a' });
    expect(refused.status).toBe(405);
    expect(refused.headers.allow).toBe('GET');
  });
});

describe('bodies', () => {
  const put = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask(loopback.port, { method: 'PUT', path: '/json', body, headers });

  test.each([
    [{ 'content-type': 'application/json' }],
    [{ 'content-type': 'application/json; charset=utf-8' }],
    [{ 'content-type': 'application/json;charset=UTF-8', 'content-encoding': 'utf-8' }],
    [{ 'content-type': 'text/plain' }],
    [{ 'content-type': 'not a media type' }],
    [{}],
  ])('JSON is JSON under the headers %o', async (headers) => {
    expect((await put('{"a":[1,"é"]}', headers as Record<string, string>)).json).toEqual({ got: { a: [1, 'é'] } });
  });

  test('an empty, blank or absent body is no body', async () => {
    expect((await put('', { 'content-type': 'application/json' })).json).toEqual({ got: null });
    expect((await put(' \n', { 'content-type': 'application/json' })).json).toEqual({ got: null });
    expect((await ask(loopback.port, { method: 'PUT', path: '/json' })).json).toEqual({ got: null });
  });

  test('a chunked body is collected', async () => {
    const raw = await rawPeer(
      loopback.port,
      'PUT /json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
    );
    expect(await raw.ended()).toContain('{"got":{"a":1}}');
  });

  test.each([
    ['{"a":}', 'position 5 (line 1, column 6)'],
    ['{"a":1,\n "b" 2}', 'position 13 (line 2, column 6)'],
    ['{"a":1', 'end of text at position 6'],
    ['[1,]', 'position 3'],
    ['{"a":1} x', 'position 8'],
    ['"a\\x"', 'position 2'],
    ['tru', 'position 0'],
    ["{'a':1}", 'position 1'],
  ])('malformed JSON %s is 400 that says %s', async (body, place) => {
    const answer = await put(body);
    expect(answer.status).toBe(400);
    expect(answer.json.errorCode).toBe(400004);
    expect(answer.json.message).toContain(place);
  });

  test('nesting without end, a prototype member and broken UTF-8 are 400', async () => {
    expect((await put('['.repeat(50_000))).status).toBe(400);
    expect((await put('{"__proto__":{"admin":true}}')).status).toBe(400);
    expect((await put('{"\\u005f_proto__":{}}')).status).toBe(400);
    expect((await put(Buffer.from([0x22, 0xff, 0x22]))).status).toBe(400);
    expect((await put('{"a":"__proto__"}')).status).toBe(200);
  });

  test('a declared length above the limit is refused before the body, an undeclared one as soon as it passes', async () => {
    const declared = await rawPeer(loopback.port, `PUT /json HTTP/1.1\r\nHost: h\r\nContent-Length: ${bodyLimit + 1}\r\n\r\n`);
    const refusal = await declared.ended();
    expect(refusal).toMatch(/^HTTP\/1.1 413 /u);
    expect(refusal).toMatch(/connection: close/iu);

    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    const chunked = await rawPeer(loopback.port, `PUT /json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`);
    expect(await chunked.ended()).toMatch(/^HTTP\/1.1 413 /u);
  });

  test('a refusal before the body was read leaves the connection in step', async () => {
    const peer = await rawPeer(
      loopback.port,
      'POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /things/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    );
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 401 [\s\S]*HTTP\/1.1 200 [\s\S]*"id":"x"/u);
  });

  test('a GET may carry the two bytes that Node sends', async () => {
    const peer = await rawPeer(
      loopback.port,
      'GET /things/x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    );
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 200 [\s\S]*HTTP\/1.1 204 /u);
  });
});

describe('answers', () => {
  test('every one has a request id; a refusal repeats it in its body', async () => {
    expect((await ask(loopback.port, { path: '/nothing' })).headers['x-ms-request-id']).toMatch(/^1{8}-/u);
    const refused = await ask(loopback.port, { method: 'POST', path: '/refused' });
    expect(refused.headers['x-ms-request-id']).toBe(refused.json.trackingId);
    expect(refused.headers['x-ms-error-code']).toBe('401002');
    const own = await ask(loopback.port, { path: '/own-id' });
    expect([own.headers['x-ms-request-id'], own.json.trackingId]).toEqual(['kept', 'kept']);
    expect((await ask(loopback.port, { path: '/throttled' })).headers['retry-after']).toBe('7');
  });

  test('a bug is a fixed sentence outside and one whole log event inside', async () => {
    const answer = await ask(loopback.port, { path: '/bug' });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret internals');
    const [event, ...rest] = loggedRequests();
    expect(rest).toEqual([]);
    expect(event).toMatchObject({ level: 'error', fields: { status: 500, error: 'ServerError', trackingId: answer.json.trackingId } });
    expect(JSON.stringify(event)).toContain('secret internals');
  });

  test('one event per request, with the pattern instead of the id and no header', async () => {
    await ask(loopback.port, { path: '/things/dev1?sig=abc', headers: { authorization: 'SharedAccessSignature sr=x&sig=topsecret&se=1' } });
    expect(loggedRequests()).toHaveLength(1);
    expect(loggedRequests()[0]).toMatchObject({ fields: { method: 'GET', route: '/things/:id', status: 200, remoteAddress: '127.0.0.1' } });
    expect(JSON.stringify(log.events)).not.toMatch(/topsecret|dev1|sig=/u);
  });

  test('handlers see the peer: certificates, server name, address, host with its port', async () => {
    loopback.present([new Uint8Array([1]), new Uint8Array([2])]);
    const answer = await ask(loopback.port, { path: '/peer', headers: { host: 'localhost:8443' } });
    expect(answer.json).toEqual({ certificates: 2, serverName: 'localhost', remoteAddress: '127.0.0.1', host: 'localhost:8443' });
  });
});

describe('bounds', () => {
  test('garbage is 400, a long head is 400, and the service goes on', async () => {
    const garbage = await rawPeer(loopback.port, '\x16\x03\x01\x02\x00garbage\r\n\r\n');
    expect(await garbage.ended()).toMatch(/^HTTP\/1.1 400 [\s\S]*errorCode/u);
    const long = await rawPeer(loopback.port, `GET /nothing HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(8192)}\r\n\r\n`);
    expect(await long.ended()).toMatch(/^HTTP\/1.1 400 [\s\S]*4096 bytes/u);
    const both = await rawPeer(loopback.port, 'PUT /json HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}');
    expect(await both.ended()).toMatch(/^HTTP\/1.1 400 /u);
    expect((await ask(loopback.port, { path: '/nothing' })).status).toBe(204);
  });

  test('a request without Host is 400', async () => {
    const peer = await rawPeer(loopback.port, 'GET /things/x HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 400 [\s\S]*Host/u);
  });

  test('a head that trickles in ends with 408 after the time to connect', async () => {
    const peer = await rawPeer(loopback.port, 'GET /nothing HTTP/1.1\r\nHost: h\r\nX-Slow: ');
    await ask(loopback.port, { path: '/nothing' });
    clock.advance(seconds(limits.connectSeconds - 1));
    expect(engine.connectionCount()).toBe(1);
    clock.advance(seconds(1));
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 408 /u);
  });

  test('a body that never ends costs the connection after the time of an exchange', async () => {
    const peer = await rawPeer(loopback.port, 'PUT /json HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{');
    await ask(loopback.port, { path: '/nothing' });
    clock.advance(seconds(limits.exchangeSeconds));
    expect(await peer.ended()).toBe('');
    expect(loggedRequests().at(-1)).toMatchObject({ fields: { route: '/json', aborted: true } });
  });

  test('an idle kept-alive connection ends silently after its time, not before', async () => {
    const peer = await rawPeer(loopback.port, 'GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n');
    await peer.until((text) => text.endsWith('\r\n\r\n'));
    const answered = peer.received();
    await ask(loopback.port, { path: '/nothing' });
    clock.advance(seconds(limits.connectSeconds + 1));
    expect(engine.connectionCount()).toBe(1);
    clock.advance(seconds(limits.keepAliveSeconds));
    expect(await peer.ended()).toBe(answered);
  });

  test('connections above the bound are closed at once', async () => {
    const peers = await Promise.all(Array.from({ length: limits.connections }, () => rawPeer(loopback.port)));
    while (engine.connectionCount() < limits.connections) await new Promise(setImmediate);
    const late = await rawPeer(loopback.port, 'GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(await late.ended()).toBe('');
    for (const { socket } of peers) socket.destroy();
  });

  test('a peer with too many unanswered requests loses its connection', async () => {
    const peer = await rawPeer(loopback.port, 'GET /held HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(limits.pipelined + 1));
    expect(await peer.ended()).toBe('');
    expect(held).toHaveLength(limits.pipelined);
    while (loggedRequests().length < limits.pipelined) await new Promise(setImmediate);
  });
});

describe('closing', () => {
  test('idle connections end at once, an open exchange gets its answer first', async () => {
    const idle = await rawPeer(loopback.port);
    const started = waitForHeld();
    const busy = await rawPeer(loopback.port, 'GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
    await started;
    const closing = engine.close();
    expect(await idle.ended()).toBe('');
    held[0]?.release();
    expect(await busy.ended()).toMatch(/^HTTP\/1.1 200 [\s\S]*connection: close[\s\S]*released/iu);
    await closing;
    expect(engine.connectionCount()).toBe(0);
    const late = await rawPeer(loopback.port);
    await late.ended();
  });

  test('an exchange that does not end is ended after the grace', async () => {
    const started = waitForHeld();
    const busy = await rawPeer(loopback.port, 'GET /held HTTP/1.1\r\nHost: h\r\n\r\n');
    await started;
    const closing = engine.close();
    clock.advance(seconds(limits.closeGraceSeconds));
    expect(await busy.ended()).toBe('');
    await closing;
  });
});
