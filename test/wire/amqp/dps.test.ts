import { afterEach, beforeEach, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import type { DeviceRegistrations, RegisterRequest } from '../../../src/provisioning/service.ts';
import { createAmqpDoor } from '../../../src/transports/amqp/door.ts';
import { duplexPair } from '../../fixtures/duplex-pair.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { bodyOf, type Client, data, openClient, wrap } from './client.ts';
import { amqpHeader, entries, RawPeer, rheaMessage, sections, source, target } from './raw-peer.ts';
import { leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

const address = (registrationId: string): string => `${service.idScope}/registrations/${registrationId}`;
const properties = { 'com.microsoft:api-version': '2019-03-31' };

async function links(client: Client, at: string) {
  const receiver = await client.receiver(at, { properties });
  const sender = await client.sender(at, { properties });
  return { receiver, sender };
}

async function register(client: Client, at: string) {
  const { receiver, sender } = await links(client, at);
  const registered = await client.send(sender, {
    correlation_id: 'c-1',
    application_properties: { 'iotdps-operation-type': 'iotdps-register', 'iotdps-forceRegistration': true },
    body: data({ registrationId: 'sensor-1' }),
  });
  return { receiver, sender, registered };
}

test('ok/a device registers by its certificate and polls until it is assigned', async () => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  const { receiver, sender, registered } = await register(client, address('sensor-1'));
  expect(registered.outcome).toBe('accepted');
  const first = await receiver.next();
  expect(first.correlation_id).toBe('c-1');
  expect(bodyOf(first)).toMatchObject({ status: 'assigning' });
  service.clock.advance(seconds(3));
  let polled = first;
  for (let at = 2; bodyOf(polled).status === 'assigning'; at += 1) {
    const poll = { 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': bodyOf(first).operationId };
    const asked = await client.send(sender, { correlation_id: `c-${at}`, application_properties: poll, body: '' });
    expect(asked.outcome).toBe('accepted');
    polled = await receiver.next(at);
    expect(polled.correlation_id).toBe(`c-${at}`);
  }
  expect(bodyOf(polled)).toMatchObject({
    status: 'assigned',
    registrationState: { deviceId: 'sensor-1', assignedHub: 'hub-a.azure-devices.localhost' },
  });
});

test('ok/the answer on the wire: one data section, both spellings of the delay as int, settled, a tag of 16 bytes, the id in its own type', async () => {
  const peer = new RawPeer(service.dial({ certificate: leafOf('sensor-1') }));
  await peer.open();
  const at = `amqps://localhost/${address('sensor-1')}`;
  peer.send('attach', { name: 'recv_link', handle: 0, role: true, source: source(at), target: target('t') });
  peer.send('attach', { name: 'sender_link', handle: 1, role: false, initial_delivery_count: 0, source: source('s'), target: target(at) });
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 100,
    next_outgoing_id: 1,
    outgoing_window: 100,
    handle: 0,
    delivery_count: 0,
    link_credit: 10,
  });
  await peer.next('attach', 2);
  const payload = rheaMessage.encode({
    correlation_id: wrap.wrap_ulong(0),
    application_properties: { 'iotdps-operation-type': 'iotdps-register' },
    body: rheaMessage.data_section(Buffer.from('{"registrationId":"sensor-1"}')),
  });
  peer.send('transfer', { handle: 1, delivery_id: 0, delivery_tag: Buffer.alloc(16, 7), message_format: 0, settled: false }, { payload });
  const { fields, payload: answer } = await peer.next('transfer');
  expect([fields[2]?.value.length, fields[4]?.value]).toEqual([16, true]);
  const parts = sections(answer);
  expect([...parts.keys()].filter((code) => code >= 0x75)).toEqual([0x75]);
  const application = entries(parts.get(0x74));
  expect([...application.keys()]).toEqual(['retry-after', 'Retry-After']);
  expect([...application.values()].map(({ type }) => type.typecode)).toEqual([0x54, 0x54]);
  expect(parts.get(0x73)?.value[5].type.name).toBe('Ulong0');
  const disposition = await peer.next('disposition');
  expect([disposition.fields[1]?.value, disposition.fields[3]?.value, disposition.fields[4]?.descriptor?.value]).toEqual([0, true, 0x24]);
  expect(peer.headers).toEqual([amqpHeader]);
});

test.each([undefined, 7200])('ok/a device whose entry is disabled gets a result, not an error; told to wait %s seconds', async (wait) => {
  await service.close();
  const told: object[] = [];
  service = await openService({
    retryHint: async (registrationId, deny) => {
      told.push({ registrationId, deny });
      return wait;
    },
  });
  const leaf = leafOf('sensor-1');
  const attestation = { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.der.toString('base64') } } } };
  await service.provisioning.individualEnrollments.put('dps-a', 'disallow', {
    body: { registrationId: 'disallow', attestation, provisioningStatus: 'disabled' },
    precondition: { kind: 'absent' },
  });
  const client = await openClient(service.dial({ certificate: leaf }));
  const { receiver, registered } = await register(client, address('sensor-1'));
  expect(registered.outcome).toBe('accepted');
  const answer = await receiver.next();
  expect(bodyOf(answer)).toMatchObject({ operationId: '', status: 'disabled' });
  expect(told).toEqual([{ registrationId: 'sensor-1', deny: expect.objectContaining({ kind: 'individual', id: 'disallow' }) }]);
  expect(answer.application_properties).toEqual(wait === undefined ? undefined : { 'retry-after': wait, 'Retry-After': wait });
});

test.each([
  ['an unknown id scope', (at: string) => at.replace(/^[^/]+/u, '0ne00000000'), 401002],
  ['no certificate', (at: string) => at, 401002],
])('refused/%s', async (what, change, code) => {
  const client = await openClient(service.dial(what === 'no certificate' ? {} : { certificate: leafOf('sensor-1') }));
  const { registered } = await register(client, change(address('sensor-1')));
  expect(registered.outcome).toBe('rejected');
  expect(registered.error.condition).toBe('amqp:unauthorized-access');
  const body = JSON.parse(registered.error.description);
  expect(body).toMatchObject({
    errorCode: code,
    trackingId: expect.any(String),
    message: expect.any(String),
    timestampUtc: expect.any(String),
  });
});

test('ok/SASL PLAIN is let in, and its token goes to the registration to be judged', async () => {
  const { clock, log, hub } = service;
  const asked: RegisterRequest[] = [];
  const registrations: DeviceRegistrations = {
    register(request) {
      asked.push(request);
      return Promise.resolve({ pending: true, retryAfterSeconds: 3, body: { operationId: '1', status: 'assigning' } });
    },
    operationStatus: () => Promise.reject(new Error('not asked')),
    lookup: () => Promise.reject(new Error('not asked')),
  };
  const door = createAmqpDoor({
    provisioning: { registrations, tpmChallenges: service.provisioning.tpmChallenges },
    hub,
    clock,
    ids: new FakeIds(),
    log,
  });
  const [ours, theirs] = duplexPair();
  door.accept({ stream: ours, certificates: [], serverName: 'localhost', remoteAddress: '10.0.0.1' }, 'amqp-ws');
  const token = await service.token(address('sensor-1'));
  const client = await openClient(theirs, { username: address('sensor-1'), password: token });
  const { receiver, registered } = await register(client, address('sensor-1'));
  expect(registered.outcome).toBe('accepted');
  expect((await receiver.next()).application_properties).toEqual({ 'retry-after': 3, 'Retry-After': 3 });
  expect(asked).toEqual([
    {
      idScope: service.idScope,
      registrationId: 'sensor-1',
      apiVersion: '2019-03-31',
      credentials: { certificates: [], sasToken: token },
      peer: { transport: 'amqp-ws', remoteAddress: '10.0.0.1', serverName: 'localhost' },
      body: { registrationId: 'sensor-1' },
    },
  ]);
});

test.each([
  ['malformed JSON', { 'iotdps-operation-type': 'iotdps-register' }, '{"registrationId":'],
  ['JSON that nests without end', { 'iotdps-operation-type': 'iotdps-register' }, `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ['JSON with another prototype', { 'iotdps-operation-type': 'iotdps-register' }, '{"payload":{"__proto__":{}}}'],
  ['an id that is not the link’s', { 'iotdps-operation-type': 'iotdps-register' }, '{"registrationId":"other"}'],
  ['no operation', {}, '{}'],
  ['a status without an operation id', { 'iotdps-operation-type': 'iotdps-get-operationstatus' }, ''],
])('refused/%s', async (_, application, body) => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  const { sender } = await links(client, address('sensor-1'));
  const { outcome, error } = await client.send(sender, { application_properties: application, body: data(body) });
  expect([outcome, error.condition]).toEqual(['rejected', 'com.microsoft:argument-error']);
  expect(JSON.parse(error.description).errorCode).toBe(400004);
});

test('refused/an operation that does not exist', async () => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  const { sender } = await links(client, address('sensor-1'));
  const { error } = await client.send(sender, {
    application_properties: { 'iotdps-operation-type': 'iotdps-get-operationstatus', 'iotdps-operation-id': '4.0000000000000000.none' },
  });
  expect([error.condition, JSON.parse(error.description).errorCode]).toEqual(['amqp:not-found', 404203]);
});

test('refused/a request before there is a receiver for the answer', async () => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  const sender = await client.sender(address('sensor-1'), { properties });
  const { outcome } = await client.send(sender, { application_properties: { 'iotdps-operation-type': 'iotdps-register' } });
  expect(outcome).toBe('rejected');
  await expect(service.provisioning.records.get('dps-a', 'sensor-1')).rejects.toMatchObject({ error: 'DpsRecordNotFound' });
});

test('refused/an api-version that is no date, and an address that is nothing', async () => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  const unknown = await client.sender(address('sensor-1'), { properties: { 'com.microsoft:api-version': 'latest' } });
  expect((await unknown.ended()).condition).toBe('com.microsoft:argument-error');
  const nothing = await client.sender('a/b/c');
  expect((await nothing.ended()).condition).toBe('amqp:not-found');
});

test('refused/a connection on which nothing is registered ends after ten minutes, however lively it is', async () => {
  const client = await openClient(service.dial({ certificate: leafOf('sensor-1') }));
  // Each attach keeps the connection from being idle.
  const pass = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n += 1) {
      service.clock.advance(seconds(180));
      await client.receiver(address('sensor-1'), { properties });
    }
  };
  const { registered } = await register(client, address('sensor-1'));
  expect(registered.outcome).toBe('accepted');
  await pass(3);
  expect(client.isDisconnected()).toBe(false);
  service.clock.advance(seconds(61));
  await expect.poll(() => client.isDisconnected()).toBe(true);
  expect(service.log.named('amqp.connection').at(-1)).toMatchObject({ reason: 'cut: amqp:connection:forced' });
});
