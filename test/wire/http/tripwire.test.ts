import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { seconds } from '../../../src/kernel/clock.ts';
import { createEventWebhook } from '../../../src/outbound/event-webhook.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { leafOf, openService, root, type TestService } from './service.ts';

describe('a device that was shut out', () => {
  let service: TestService;
  beforeEach(async () => {
    service = await openService();
    const attestation = { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } };
    await service.dps({
      method: 'PUT',
      path: '/enrollmentGroups/plant',
      body: JSON.stringify({ enrollmentGroupId: 'plant', attestation }),
    });
    expect((await register()).status).toBe(202);
    const body = JSON.stringify({ device: 'sensor-1', reason: 'stolen' });
    await service.muster({ method: 'POST', path: '/api/v1/deprovision', body });
  });
  afterEach(() => service.close());

  const leaf = leafOf('sensor-1');
  const register = () =>
    service.device({
      method: 'PUT',
      path: `/${service.idScope}/registrations/sensor-1/register?api-version=2021-06-01`,
      certificate: leaf,
    });

  test('gets the result that it always got, and a header that says to wait: longer each time', async () => {
    const waits: unknown[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const { status, json, headers } = await register();
      expect([status, json.status, json.registrationState.status]).toEqual([200, 'disabled', 'disabled']);
      waits.push(headers['retry-after']);
    }
    expect(waits).toEqual(['30', '60', '120']);
    const { json } = await service.muster({ path: '/api/v1/tripwires' });
    expect(json.items).toMatchObject([{ device: 'sensor-1', attempts: 3, proven: 3, retryAfterSeconds: 120 }]);
    expect((await service.muster({ path: '/api/v1/tripwires/SENSOR-1' })).json).toEqual(json.items[0]);
    expect((await service.muster({ path: '/api/v1/tripwires/sensor-2' })).status).toBe(404);
    const events = await service.muster({ path: '/api/v1/events?kind=tripwire' });
    expect(events.json.items).toMatchObject([{ kind: 'tripwire', data: { device: 'sensor-1', attempts: 1 } }]);
    expect((await service.muster({ path: '/api/v1/events?kind=other' })).status).toBe(400);
  });
});

describe('the event webhook', () => {
  let receiver: Server;
  let asked: { readonly message: IncomingMessage; readonly body: string }[];
  let answer: (response: ServerResponse) => void;
  const clock = new FakeClock();
  const secret = 'a secret of both sides';
  beforeEach(async () => {
    asked = [];
    answer = (response) => void response.writeHead(204).end();
    receiver = createServer((message, response) => void take(message, response));
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
  });
  afterEach(() => {
    receiver.closeAllConnections();
    receiver.close();
  });

  async function take(message: IncomingMessage, response: ServerResponse): Promise<void> {
    asked.push({ message, body: await text(message) });
    answer(response);
  }
  const open = (url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook?tenant=a`) =>
    createEventWebhook({ url, secret, clock, patience: seconds(5) });
  const send = (webhook: ReturnType<typeof open>, signal = new AbortController().signal) =>
    webhook.send({ sequence: 7, body: '{"kind":"tripwire","data":{"name":"ü"}}', signal });

  test('gets the event with its number, signed over the time and the bytes', async () => {
    expect(await send(open())).toMatchObject({ kind: 'taken', status: 204 });
    const [{ message, body } = expect.fail('nothing was sent')] = asked;
    expect([message.method, message.url, message.headers['content-type']]).toEqual([
      'POST',
      '/hook?tenant=a',
      'application/json; charset=utf-8',
    ]);
    expect(message.headers['x-muster-event']).toBe('7');
    const t = Math.floor(clock.now() / 1000);
    const v1 = createHmac('sha256', secret).update(`${t}.${body}`, 'utf8').digest('hex');
    expect(message.headers['x-muster-signature']).toBe(`t=${t},v1=${v1}`);
  });

  test.each<[string, (response: ServerResponse) => void, RegExp]>([
    ['a status that is none of 2xx', (response) => void response.writeHead(500).end('no'), /status 500/u],
    ['a redirect', (response) => void response.writeHead(302, { location: 'http://192.0.2.1/' }).end(), /status 302/u],
    ['a broken connection', (response) => void response.destroy(), /./u],
    [
      'an answer without end',
      (response) => void response.writeHead(200, { 'content-length': limits.eventAnswerBytes + 1 }).write('x'),
      /larger than/u,
    ],
  ])('%s is a failure with a sentence', async (_name, misbehave, sentence) => {
    answer = misbehave;
    const result = await send(open());
    expect(result).toMatchObject({ kind: 'failed', detail: expect.stringMatching(sentence) });
  });

  test('silence ends with its time, and the end of the service at once', async () => {
    const isAsked = new Promise<void>((resolve) => (answer = () => resolve()));
    const waiting = send(open());
    await isAsked;
    clock.advance(seconds(5));
    expect(await waiting).toMatchObject({ kind: 'failed', detail: 'There was no whole answer within 5 seconds.' });
    const closing = new AbortController();
    const stopped = send(open(), closing.signal);
    closing.abort();
    expect(await stopped).toMatchObject({ kind: 'failed', detail: 'The service is shutting down.' });
  });
});
