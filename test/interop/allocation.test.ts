import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { transportNames } from '../../src/contracts/transport.ts';
import { callHttps } from './harness/https.ts';
import { startService } from './harness/service.ts';
import { Device, groupOf, hubA, hubB, openStage, type Stage } from './harness/stage.ts';

// Custom allocation and reprovisioning through unmodified SDKs: a payload goes to the webhook and one comes back, the
// webhook moves the device with its twin to another hub, and a service that is killed while it waits goes on afterwards.

interface Asked {
  readonly deviceRuntimeContext: { readonly registrationId: string; readonly currentIotHubHostName?: string; readonly payload?: unknown };
  readonly linkedHubs: readonly string[];
}

let stage: Stage;
let webhook: Server;
let answer: (response: ServerResponse, asked: Asked) => void;
const url = (): string => `http://127.0.0.1:${(webhook.address() as AddressInfo).port}/allocate?code=s3cret`;
const json = (response: ServerResponse, status: number, body: unknown): void =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

/** A device begins on hub A; whoever is there already goes to hub B. What it sent is sent back. */
function choose(response: ServerResponse, { deviceRuntimeContext: { currentIotHubHostName, payload } }: Asked): void {
  const iotHubHostName = currentIotHubHostName === hubA ? hubB : hubA;
  json(response, 200, { iotHubHostName, initialTwin: { tags: { from: 'webhook' } }, payload: { heard: payload } });
}

beforeAll(async () => {
  answer = choose;
  webhook = createServer((message, response) => {
    void text(message).then((body) => answer(response, JSON.parse(body) as Asked));
  });
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  stage = await openStage();
  await dps('createOrUpdateEnrollmentGroup', groupOf('custom', stage.root, { allocationPolicy: 'custom', ...definition() }));
});
afterAll(async () => {
  await stage?.close();
  webhook?.closeAllConnections();
  webhook?.close();
});

const definition = () => ({ customAllocationDefinition: { webhookUrl: url(), apiVersion: '2021-10-01' } });
const dps = <T>(method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('dps', { connectionString: stage.dpsConnectionString, method, args });
const registry = <T>(hub: string, method: string, ...args: readonly unknown[]): Promise<T> =>
  stage.sdks.run<T>('registry', { connectionString: stage.hubConnectionString(hub), method, args });

describe.each(transportNames)('over %s', (transport) => {
  test('payloads go both ways, and a device that moves takes its twin along', async () => {
    const id = `payload-${transport}`;
    const device = new Device(stage, { id, leaf: await stage.pki.device(id, stage.root), transport });
    const first = await device.register({ model: 'x', over: transport });
    expect(first).toMatchObject({
      status: 'assigned',
      substatus: 'initialAssignment',
      assignedHub: hubA,
      payload: { heard: { model: 'x', over: transport } },
    });
    await device.connect(hubA);
    await device.call('send', { text: 'on hub a' });
    const patch = { tags: { changed: transport } };
    await stage.sdks.run('twinUpdate', { connectionString: stage.hubConnectionString(hubA), deviceId: id, patch });

    const second = await device.register();
    expect(second).toMatchObject({ status: 'assigned', substatus: 'deviceDataMigrated', assignedHub: hubB, payload: {} });
    // The identity is at one hub, never at both and never at none, and the session of the old one is over.
    await expect(registry(hubA, 'get', id)).rejects.toThrow(/NotFound/u);
    expect(await registry<{ tags: unknown }>(hubB, 'getTwin', id)).toMatchObject({ tags: { from: 'webhook', changed: transport } });
    if (transport !== 'https') {
      await vi.waitFor(async () => {
        expect((await device.call<{ disconnects: unknown[] }>('observed')).disconnects).not.toHaveLength(0);
      }, 5000);
    }
    await device.call('close');
    await device.connect(hubB);
    await device.call('send', { text: 'on hub b' });
    await device.call('close');
  });

  test('a webhook that fails is what the SDK reports', async () => {
    answer = (response) => json(response, 403, {});
    const id = `refused-${transport}`;
    const device = new Device(stage, { id, leaf: await stage.pki.device(id, stage.root), transport });
    const failure = await device.registrationFailure();
    answer = choose;
    expect(failure.name).toBe('ProvisioningRegistrationFailedError');
    expect(failure.result).toMatchObject({
      status: 'failed',
      registrationState: { status: 'failed', errorCode: 400207, errorMessage: 'Custom allocation failed with status code: 403' },
    });
  });
});

describe.each(transportNames)('over %s', (transport) => {
  test('an enrollment that changes whenever its webhook is asked ends with 409203', async () => {
    const id = `torn-${transport}`;
    const leaf = await stage.pki.device(id, stage.root);
    const webhookUrl = (round: number): string => `${url()}&round=${round}`;
    await dps('createOrUpdateIndividualEnrollment', {
      registrationId: id,
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.certificate } } } },
      allocationPolicy: 'custom',
      customAllocationDefinition: { webhookUrl: webhookUrl(0), apiVersion: '2021-10-01' },
    });
    let round = 0;
    const change = async (): Promise<void> => {
      const entry = await dps<object>('getIndividualEnrollment', id);
      round += 1;
      const customAllocationDefinition = { webhookUrl: webhookUrl(round), apiVersion: '2021-10-01' };
      await dps('createOrUpdateIndividualEnrollment', { ...entry, customAllocationDefinition });
    };
    // What goes wrong in here ends as no answer at all, and that as another error.
    answer = (response, asked) => void change().then(() => choose(response, asked));
    const failure = await new Device(stage, { id, leaf, transport }).registrationFailure();
    answer = choose;
    expect(failure.name).toBe('ProvisioningRegistrationFailedError');
    expect(failure.result).toMatchObject({ status: 'failed', registrationState: { status: 'failed', errorCode: 409203 } });
    expect(round).toBe(3);
  });
});

test('killed while the webhook was asked, the service goes on with the registration when it is started again', async () => {
  let calls = 0;
  answer = () => void (calls += 1);
  const id = 'killed-1';
  const leaf = await stage.pki.device(id, stage.root);
  const credentials = { cert: leaf.certificate, key: leaf.key };
  const path = `/${stage.idScope}/registrations/${id}`;
  const query = 'api-version=2021-06-01';
  const call = async (service: Stage['service'], method: string, rest: string, body = '{}') => {
    const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) };
    const ca = readFileSync(service.endpoints.ca, 'utf8');
    const sent = await callHttps({
      method,
      path: `${path}/${rest}?${query}`,
      port: service.endpoints.ports.https!,
      ca,
      body,
      headers,
      ...credentials,
    });
    return { status: sent.status, body: JSON.parse(sent.body) as { operationId: string; status: string; registrationState?: unknown } };
  };
  const accepted = await call(stage.service, 'PUT', 'register', JSON.stringify({ payload: { before: 'the kill' } }));
  expect(accepted.status).toBe(202);
  await vi.waitFor(() => expect(calls).toBe(1));
  await stage.service.stop('SIGKILL');

  let asked: Asked | undefined;
  let go: (() => void) | undefined;
  answer = (response, request) => {
    asked = request;
    go = () => choose(response, request);
  };
  const again = await startService(stage.service.data);
  try {
    expect(again.output()).toMatch(/goes on with 1 that wait/u);
    await vi.waitFor(() => expect(asked).toBeDefined(), 60_000);
    expect(asked?.deviceRuntimeContext).toMatchObject({ registrationId: id, payload: { before: 'the kill' } });
    const { operationId } = accepted.body;
    expect(await call(again, 'GET', `operations/${operationId}`)).toEqual({
      status: 202,
      body: { operationId, status: 'assigning', registrationState: { registrationId: id, status: 'assigning' } },
    });
    go?.();
    await vi.waitFor(async () => {
      const polled = await call(again, 'GET', `operations/${operationId}`);
      expect(polled).toMatchObject({ status: 200, body: { status: 'assigned', registrationState: { assignedHub: hubA } } });
    }, 60_000);
  } finally {
    await again.stop();
  }
});
