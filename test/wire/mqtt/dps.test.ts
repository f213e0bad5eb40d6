import { expect, test } from 'vitest';
import { minutes } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import type { DeviceRegistrations, RegisterRequest } from '../../../src/provisioning/service.ts';
import { createDpsBinding } from '../../../src/transports/mqtt/dps/binding.ts';
import { createMqttEngine } from '../../../src/transports/mqtt/engine/engine.ts';
import { refusalCode } from '../../../src/transports/mqtt/errors.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { testLimits } from './test-binding.ts';
import { open, settle, type TestClient } from './test-client.ts';

/** What the wire looks like, whatever a registration decides; the real decisions are in `services.test.ts`. */
function start(answers: Partial<DeviceRegistrations> = {}) {
  const clock = new FakeClock();
  const ids = new FakeIds();
  const log = new RecordingLog();
  const requests: (RegisterRequest & { readonly operationId?: string })[] = [];
  const registrations: DeviceRegistrations = {
    async register(request) {
      requests.push(request);
      if (answers.register !== undefined) return answers.register(request);
      return { pending: true, retryAfterSeconds: 3, body: { operationId: '4.a.b', status: 'assigning' } };
    },
    async operationStatus(request) {
      requests.push(request);
      if (answers.operationStatus !== undefined) return answers.operationStatus(request);
      const registrationState = { registrationId: request.registrationId, status: 'assigned', assignedHub: 'h', deviceId: 'd' } as const;
      return { pending: false, body: { operationId: request.operationId, status: 'assigned', registrationState } };
    },
    lookup: () => Promise.reject(new Error('not asked over MQTT')),
  };
  const bindings = [createDpsBinding({ registrations, clock, ids, log })];
  const door = createMqttEngine({ bindings, limits: { ...testLimits, unauthenticatedBytes: 16_384 }, refusalCode, clock, ids, log });
  return { door, clock, log, requests };
}

const userName = (id = 'dev-1'): string => `0ne1/registrations/${id}/api-version=2019-03-31&ClientVersion=x`;
const register = (rid: string): string => `$dps/registrations/PUT/iotdps-register/?$rid=${rid}`;
const status = (rid: string, operation = '4.a.b'): string =>
  `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=${rid}&operationId=${operation}`;

async function enter(service: ReturnType<typeof start>, qos: 0 | 1 = 1): Promise<TestClient> {
  const client = open(service.door, { certificates: [Buffer.from('leaf')], serverName: 'dps.example' });
  client.connect({ clientId: 'DEV-1', username: userName(), clean: false, keepalive: 0 });
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 0, sessionPresent: false });
  expect(await client.subscribe('$dps/registrations/res/#', qos)).toMatchObject({ granted: [qos] });
  return client;
}

async function answer(client: TestClient): Promise<{ readonly topic: string; readonly qos: number; readonly body: unknown }> {
  const packet = await client.next();
  if (packet?.cmd !== 'publish') throw new Error(`no answer but ${packet?.cmd ?? 'a closed connection'}`);
  return { topic: packet.topic, qos: packet.qos, body: JSON.parse(packet.payload.toString()) as unknown };
}

test('ok/register and poll: PUBACK first, $rid first, retry-after after it, QoS as granted', async () => {
  const service = start();
  const client = await enter(service);
  client.publish(register('5f1c'), '{"registrationId":"dev-1"}', 11);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 11 });
  expect(await answer(client)).toEqual({
    topic: '$dps/registrations/res/202/?$rid=5f1c&retry-after=3',
    qos: 1,
    body: { operationId: '4.a.b', status: 'assigning' },
  });
  client.publish(status('6'), ' ', 12);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 12 });
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/200/?$rid=6', body: { status: 'assigned' } });
  client.send({ cmd: 'unsubscribe', messageId: 13, unsubscriptions: ['$dps/registrations/res/#'] }, { cmd: 'disconnect' });
  expect(await client.next()).toMatchObject({ cmd: 'unsuback', messageId: 13 });
  await client.closed;
  const device = {
    idScope: '0ne1',
    registrationId: 'dev-1',
    apiVersion: '2019-03-31',
    credentials: { certificates: [Buffer.from('leaf')] },
    peer: { transport: 'mqtt', remoteAddress: '192.0.2.7', serverName: 'dps.example' },
  };
  expect(service.requests).toEqual([
    { ...device, body: { registrationId: 'dev-1' } },
    { ...device, operationId: '4.a.b' },
  ]);
});

test('ok/QoS 0 throughout, as the C SDK does; an empty or blank body is absent', async () => {
  const service = start();
  const client = await enter(service, 0);
  for (const body of ['', ' ', '\n']) {
    client.publish(register('1'), body);
    expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/202/?$rid=1&retry-after=3', qos: 0 });
  }
  client.publish(status('2'), '{"registrationId":"dev-1"}');
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/200/?$rid=2' });
  expect(service.requests.slice(0, 3).map((request) => 'body' in request)).toEqual([false, false, false]);
});

test('ok/disabled is a result', async () => {
  const registrationState = { registrationId: 'dev-1', status: 'disabled' } as const;
  const service = start({ register: async () => ({ pending: false, body: { operationId: '', status: 'disabled', registrationState } }) });
  const client = await enter(service);
  client.publish(register('1'));
  expect(await answer(client)).toMatchObject({
    topic: '$dps/registrations/res/200/?$rid=1',
    body: { operationId: '', status: 'disabled', registrationState },
  });
});

test('ok/disabled may come with a word on how long to wait, where the SDKs look for it', async () => {
  const registrationState = { registrationId: 'dev-1', status: 'disabled' } as const;
  const body = { operationId: '', status: 'disabled', registrationState } as const;
  const service = start({ register: async () => ({ pending: false, retryAfterSeconds: 3600, body }) });
  const client = await enter(service);
  client.publish(register('1'));
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/200/?$rid=1&retry-after=3600', body });
});

test('ok/errors are JSON answers on a connection that stays', async () => {
  const queue = [
    new ServiceError('DpsUnauthorized', 'Unauthorized', { trackingId: 'known', detail: 'never shown' }),
    new ServiceError('Throttled', 'Slow down', { retryAfterSeconds: 5 }),
    new ServiceError('ServerBusy', 'Busy'),
    new RangeError('secret internals'),
  ];
  const service = start({ register: () => Promise.reject(queue.shift() ?? new Error('once too often')) });
  const client = await enter(service);
  const answers = [];
  for (let index = 0; index < 4; index += 1) {
    client.publish(register(`${index}`), '{}');
    answers.push(await answer(client));
  }
  expect(answers.map(({ topic }) => topic)).toEqual([
    '$dps/registrations/res/401/?$rid=0',
    '$dps/registrations/res/429/?$rid=1&retry-after=5',
    '$dps/registrations/res/503/?$rid=2&retry-after=3',
    '$dps/registrations/res/500/?$rid=3&retry-after=3',
  ]);
  expect(answers[0]?.body).toEqual({
    errorCode: 401002,
    trackingId: 'known',
    message: 'Unauthorized',
    timestampUtc: '2026-01-01T00:00:00.0000000Z',
  });
  expect(answers[3]?.body).toMatchObject({ errorCode: 500001, trackingId: '11111111-0000-4000-8000-000000000003' });
  expect(JSON.stringify(answers)).not.toContain('secret internals');
  expect(JSON.stringify(answers)).not.toContain('never shown');
  expect(service.log.named('mqtt.failure')).toMatchObject([{ trackingId: '11111111-0000-4000-8000-000000000003' }]);
});

test('ok/malformed JSON, malformed text and a missing operation id are answered with 400', async () => {
  const service = start();
  const client = await enter(service);
  client.publish(register('1'), '{"registrationId":', 1);
  await client.next();
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/400/?$rid=1', body: { errorCode: 400004 } });
  client.publish(register('2'), Buffer.from([0x22, 0xff, 0x22]));
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/400/?$rid=2', body: { errorCode: 400004 } });
  client.publish('$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3', ' ');
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/400/?$rid=3', body: { errorCode: 400004 } });
  expect(service.requests).toEqual([]);
});

test.each([
  ['that nests without end', '['.repeat(30_000) + ']'.repeat(30_000)],
  ['with another prototype', '{"payload":{"__proto__":{}}}'],
])('refused/JSON %s', async (_, body) => {
  const service = start();
  const client = await enter(service);
  client.publish(register('1'), body);
  expect(await answer(client)).toMatchObject({ topic: '$dps/registrations/res/400/?$rid=1', body: { errorCode: 400004 } });
  expect(service.requests).toEqual([]);
});

test('ok/credentials are not judged at CONNECT; a token is handed on', async () => {
  const service = start();
  const client = open(service.door, { transport: 'mqtt-ws' });
  client.connect({ clientId: 'dev-1', username: userName(), password: Buffer.from('SharedAccessSignature sr=x') });
  expect(await client.next()).toMatchObject({ returnCode: 0 });
  client.publish(register('1'));
  await settle();
  expect(service.requests[0]).toMatchObject({
    credentials: { certificates: [], sasToken: 'SharedAccessSignature sr=x' },
    peer: { transport: 'mqtt-ws' },
  });
});

test('refused/user names, client ids and wills get CONNACK 2', async () => {
  const cases = [
    { clientId: 'dev-2', username: userName('dev-1') },
    { clientId: 'dev-1', username: '0ne1/registrations/dev-1/api-version=latest' },
    { clientId: 'dev-1', username: '0ne1/registrations/dev-1' },
    { clientId: 'dev-1', username: userName(), will: { topic: 'x', payload: Buffer.from('') } },
  ];
  for (const fields of cases) {
    const client = open(start().door);
    client.connect(fields);
    expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 2 });
    expect(await client.next()).toBeUndefined();
  }
});

test('refused/any other topic, published or subscribed, closes the connection', async () => {
  const acts: ((client: TestClient) => void)[] = [
    (client) => client.publish('devices/dev-1/messages/events/', 'x'),
    (client) => client.publish('$dps/registrations/PUT/iotdps-register/', '{}'),
    (client) => client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] }),
    (client) => client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$dps/registrations/#', qos: 1 }] }),
  ];
  for (const act of acts) {
    const service = start();
    const client = await enter(service);
    act(client);
    expect(await client.next()).toBeUndefined();
    await settle();
    expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'rejected', idScope: '0ne1', registrationId: 'dev-1' }]);
  }
});

test('ok/two connections under one id live side by side: anybody can claim an id here', async () => {
  const service = start();
  const first = await enter(service);
  await enter(service);
  first.send({ cmd: 'pingreq' });
  expect(await first.next()).toMatchObject({ cmd: 'pingresp' });
  expect(service.door.connectionCount()).toBe(2);
});

test('refused/a message above 96 KB, on its declared length', async () => {
  const client = await enter(start());
  client.sendBytes([0x30, 0x81, 0x90, 0x06]);
  expect(await client.next()).toBeUndefined();
});

test('refused/a connection on which nothing is registered ends after ten minutes, however lively it is', async () => {
  const denied = new ServiceError('DpsUnauthorized', 'Unauthorized');
  let isDenied = false;
  const service = start({
    register: () => {
      if (isDenied) return Promise.reject(denied);
      return Promise.resolve({ pending: true, body: { operationId: '4.a.b', status: 'assigning' } });
    },
  });
  const client = await enter(service);
  const pass = async (minutesPassed: number): Promise<void> => {
    for (let n = 0; n < minutesPassed; n += 1) {
      service.clock.advance(minutes(1) - 1);
      client.send({ cmd: 'pingreq' });
      expect(await client.next()).toMatchObject({ cmd: 'pingresp' });
    }
  };
  const register = async (rid: string): Promise<string> => {
    client.publish(`$dps/registrations/PUT/iotdps-register/?$rid=${rid}`, '', 11);
    expect(await client.next()).toMatchObject({ cmd: 'puback' });
    return (await answer(client)).topic;
  };
  await pass(9);
  expect(await register('1')).toContain('/202/');
  await pass(9);
  // A refusal is no registration.
  isDenied = true;
  expect(await register('2')).toContain('/401/');
  await pass(1);
  service.clock.advance(minutes(1));
  await client.closed;
  expect(service.clock.pending).toBe(0);
});
