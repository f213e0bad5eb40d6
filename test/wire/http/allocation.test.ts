import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { milliseconds, seconds } from '../../../src/kernel/clock.ts';
import { createAllocationWebhooks } from '../../../src/outbound/allocation-webhooks.ts';
import { noRegions } from '../../../src/provisioning/allocation/regions.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import { ask, type Answer } from './loopback.ts';
import { hubHost, leafOf, openService, root, type TestService } from './service.ts';

// Devices over HTTP on one side, a real HTTP server as the webhook on the other.

const version = 'api-version=2021-06-01';
const patience = seconds(20);

let service: TestService;
let webhook: Server;
let asked: { readonly message: IncomingMessage; readonly body: string }[];
let answer: (response: ServerResponse, body: any) => void;

beforeEach(async () => {
  asked = [];
  answer = choose;
  webhook = createServer((message, response) => void serve(message, response));
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  service = await openService({
    allocation: (clock) => ({ webhooks: createAllocationWebhooks({ clock, patience }), concurrentCalls: 4, regions: noRegions }),
  });
});
afterEach(async () => {
  await service.close();
  webhook.closeAllConnections();
  webhook.close();
});

async function serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(message);
  asked.push({ message, body });
  answer(response, JSON.parse(body));
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const webhookUrl = (): string => `http://127.0.0.1:${portOf(webhook)}/pick?code=s3cret`;

function choose(response: ServerResponse, { linkedHubs }: { linkedHubs: string[] }): void {
  json(response, 200, { iotHubHostName: linkedHubs[0], payload: { hello: 'device' } });
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function enroll(url: string): Promise<void> {
  const attestation = { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } };
  const customAllocationDefinition = { webhookUrl: url, apiVersion: '2021-10-01' };
  const body = JSON.stringify({ enrollmentGroupId: 'g', attestation, allocationPolicy: 'custom', customAllocationDefinition });
  const created = await service.dps({ method: 'PUT', path: '/enrollmentGroups/g', body });
  expect(created.status, created.text).toBe(200);
}

const path = (rest: string): string => `/${service.idScope}/registrations/${rest}?${version}`;
const register = (certificate: Made, body: object = {}): Promise<Answer> =>
  service.device({ method: 'PUT', path: path('dev-1/register'), body: JSON.stringify(body), certificate });
const poll = (certificate: Made, operationId: string): Promise<Answer> =>
  service.device({ path: path(`dev-1/operations/${operationId}`), certificate });

async function result(certificate: Made, operationId: string): Promise<Answer> {
  return vi.waitFor(async () => {
    const polled = await poll(certificate, operationId);
    expect(polled.status).toBe(200);
    return polled;
  }, 60_000);
}

async function provision(url = webhookUrl()): Promise<Answer> {
  await enroll(url);
  const certificate = leafOf('dev-1');
  const accepted = await register(certificate, { registrationId: 'dev-1', payload: { model: 'x' } });
  expect(accepted.status).toBe(202);
  return result(certificate, accepted.json.operationId);
}

test('a good webhook is asked with POST and JSON, and its answer reaches the device', async () => {
  const assigned = await provision();
  expect(assigned.json).toMatchObject({
    status: 'assigned',
    registrationState: { assignedHub: hubHost, status: 'assigned', substatus: 'initialAssignment', payload: { hello: 'device' } },
  });
  const [call] = asked;
  expect([call?.message.method, call?.message.url]).toEqual(['POST', '/pick?code=s3cret']);
  expect(call?.message.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(call?.body ?? '')),
    accept: 'application/json',
    'accept-encoding': 'identity',
    'x-ms-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/u),
  });
  expect(JSON.parse(call?.body ?? '')).toMatchObject({
    enrollmentGroup: { enrollmentGroupId: 'g' },
    deviceRuntimeContext: { registrationId: 'dev-1', payload: { model: 'x' } },
    linkedHubs: [hubHost],
  });
});

test('a slow webhook: polls say assigning with Retry-After, and the answer ends it', async () => {
  await enroll(webhookUrl());
  let go: (() => void) | undefined;
  answer = (response, body) => void (go = () => choose(response, body));
  const certificate = leafOf('dev-1');
  const accepted = await register(certificate);
  expect(accepted.json).toEqual({ operationId: expect.any(String), status: 'assigning' });
  await vi.waitFor(() => expect(go).toBeDefined());
  const polled = await poll(certificate, accepted.json.operationId);
  expect(polled.status).toBe(202);
  expect(polled.headers['retry-after']).toMatch(/^[2-5]$/u);
  expect(polled.json).toEqual({
    operationId: accepted.json.operationId,
    status: 'assigning',
    registrationState: { registrationId: 'dev-1', status: 'assigning' },
  });
  go?.();
  expect((await result(certificate, accepted.json.operationId)).json.status).toBe('assigned');
});

test('one that is slower than the patience of the service has failed', async () => {
  await enroll(webhookUrl());
  answer = (response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"iotHub');
  const certificate = leafOf('dev-1');
  const accepted = await register(certificate);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  service.clock.advance(patience - 1);
  expect((await poll(certificate, accepted.json.operationId)).status).toBe(202);
  service.clock.advance(milliseconds(1));
  const failed = await result(certificate, accepted.json.operationId);
  expect(failed.json).toMatchObject({
    status: 'failed',
    registrationState: { errorCode: 400207, errorMessage: 'Custom allocation failed: the webhook did not answer in time.' },
  });
  await vi.waitFor(() => expect(asked[0]?.message.socket.destroyed).toBe(true));
});

describe('fails with 400207', () => {
  const broken = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"iotHubHostName":');
    setImmediate(() => response.destroy());
  };
  test.each<[string, (response: ServerResponse, body: any) => void, RegExp]>([
    ['status 401', (response) => json(response, 401, {}), /status code: 401$/u],
    ['status 500', (response) => json(response, 500, {}), /status code: 500$/u],
    ['no JSON', (response) => void response.end('<html>'), /not valid/u],
    ['an empty hub name', (response) => json(response, 200, { iotHubHostName: '' }), /not valid/u],
    ['a hub that is not linked', (response) => json(response, 200, { iotHubHostName: 'x.example' }), /not linked/u],
    [
      'a declared length that is too large',
      (response) => response.writeHead(200, { 'content-length': '99999999' }).flushHeaders(),
      /too large/u,
    ],
    ['more than it may send', (response) => void response.end(Buffer.alloc(200 * 1024, ' ')), /too large/u],
    ['a connection that ends half way', broken, /broke off/u],
    ['a connection that ends without a word', (response) => void response.destroy(), /could not be reached/u],
    [
      'a compressed answer that nobody asked for',
      (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('\x1f\x8b'),
      /not valid/u,
    ],
  ])('%s', async (_, how, message) => {
    answer = how;
    const { registrationState, status } = (await provision()).json;
    expect(status).toBe('failed');
    expect(registrationState).toMatchObject({ status: 'failed', errorCode: 400207, errorMessage: expect.stringMatching(message) });
    expect(registrationState).not.toHaveProperty('assignedHub');
    expect(asked).toHaveLength(1);
  });

  test('a redirect, which is not followed', async () => {
    answer = (response) => json(response, 307, {}, { location: `http://127.0.0.1:${portOf(webhook)}/elsewhere` });
    expect((await provision()).json.registrationState.errorMessage).toBe('Custom allocation failed with status code: 307');
    expect(asked.map(({ message }) => message.url)).toEqual(['/pick?code=s3cret']);
  });

  test('a port where nobody listens', async () => {
    const url = webhookUrl();
    webhook.close();
    await once(webhook, 'close');
    expect((await provision(url)).json.registrationState).toMatchObject({
      errorCode: 400207,
      errorMessage: 'Custom allocation failed: the webhook could not be reached.',
    });
  });

  test('a server whose certificate nobody vouches for', async () => {
    const secret: string[] = [];
    const now = Date.now();
    const stranger = make({ subject: '127.0.0.1', key: ecKey(), notBefore: now - 60_000, notAfter: now + 600_000 });
    const key = stranger.key.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const tls = createTlsServer({ key, cert: stranger.pem }, (message) => secret.push(message.url ?? ''));
    tls.listen(0, '127.0.0.1');
    await once(tls, 'listening');
    const { registrationState } = (await provision(`https://127.0.0.1:${portOf(tls)}/?code=s3cret`)).json;
    tls.close();
    expect(registrationState.errorMessage).toMatch(/could not be reached/u);
    expect(secret).toEqual([]);
  });
});

test('the operation id and the request id that a device logs resolve to the exchange, without the key', async () => {
  await enroll(webhookUrl());
  answer = (response) => json(response, 401, { error: 'wrong code' });
  const certificate = leafOf('dev-1');
  const accepted = await register(certificate);
  await result(certificate, accepted.json.operationId);
  for (const id of [accepted.json.operationId, accepted.headers['x-ms-request-id']]) {
    const decision = await service.muster({ path: `/api/v1/decisions/${id}` });
    expect(decision.status).toBe(200);
    expect(decision.json.trace.steps.at(-1)).toMatchObject({
      subject: 'allocation',
      exchange: { webhookUrl: `http://127.0.0.1:${portOf(webhook)}/pick?****`, status: 401, response: '{"error":"wrong code"}' },
    });
    expect(decision.text).not.toContain('s3cret');
  }
  expect(JSON.stringify(service.log.events)).not.toContain('s3cret');
  const shown = await service.dps({ path: '/enrollmentGroups/g' });
  expect(shown.json.customAllocationDefinition.webhookUrl).toBe(`http://127.0.0.1:${portOf(webhook)}/pick?****`);
});

describe.each(['custom', 'hashed'])('a storm of one device from 50 connections, allocation %s', (allocationPolicy) => {
  test('leaves one identity and one record, and nobody gets an error', async () => {
    await enroll(webhookUrl());
    if (allocationPolicy !== 'custom') {
      const current = await service.dps({ path: '/enrollmentGroups/g' });
      const body = JSON.stringify({ ...current.json, allocationPolicy });
      expect((await service.dps({ method: 'PUT', path: '/enrollmentGroups/g', body, headers: { 'if-match': '*' } })).status).toBe(200);
    }
    const certificate = leafOf('dev-1');
    service.https.present([certificate.der]);
    const headers = { host: 'localhost', 'content-type': 'application/json' };
    const storm = Array.from({ length: 50 }, async () => {
      const accepted = await ask(service.https.port, { method: 'PUT', path: path('dev-1/register'), headers, body: '{}' });
      expect(accepted.status).toBe(202);
      return vi.waitFor(async () => {
        const polled = await ask(service.https.port, { path: path(`dev-1/operations/${accepted.json.operationId}`), headers });
        expect(polled.status).toBe(200);
        return polled.json;
      }, 20_000);
    });
    const results = await Promise.all(storm);
    expect(new Set(results.map(({ status, registrationState: { assignedHub } }) => `${status} ${assignedHub}`))).toEqual(
      new Set([`assigned ${hubHost}`]),
    );
    expect((await service.hub.registry.list('hub-a', { limit: 10 })).items).toHaveLength(1);
    expect((await service.provisioning.records.listByGroup('dps-a', 'g', { limit: 10 })).items).toHaveLength(1);
  });
});
