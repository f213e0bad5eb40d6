import { afterEach, beforeEach, expect, test } from 'vitest';
import { amqpHeader, entries, errorOf, RawPeer, type RawFrame, rheaMessage, sections, source, target, until } from './raw-peer.ts';
import { wrap } from './client.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

/** The C# DeviceClient with X.509 over AMQP, frame by frame (hub chapter 4.11). */

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

const deviceId = 'sensor-thl-002';
const leaf = leafOf(deviceId);
const events = `amqps://${hubHost}:5671/devices/${deviceId}/messages/events`;
const twin = `amqps://${hubHost}:5671/devices/${deviceId}/twin`;
const channel = 'twin:4f7ad9d8-9ed4-4d35-a8a9-1be04c34e9f7';
const linkProperties = (correlation?: string) => ({
  'com.microsoft:client-version': '.NET/1.42.3',
  'com.microsoft:api-version': '2020-09-30',
  ...(correlation === undefined ? {} : { 'com.microsoft:channel-correlation-id': correlation }),
});

const telemetryLink = {
  name: 'TelemetrySenderLink',
  handle: 0,
  role: false,
  initial_delivery_count: 0,
  source: source(deviceId),
  target: target(events),
  properties: linkProperties(),
};
const twinSender = {
  name: 'TwinSenderLink',
  handle: 2,
  role: false,
  initial_delivery_count: 0,
  snd_settle_mode: 1,
  rcv_settle_mode: 0,
  source: source(deviceId),
  target: target(twin),
  properties: linkProperties(channel),
};
const twinReceiver = { ...twinSender, name: 'TwinReceiverLink', handle: 1, role: true, source: source(twin), target: target(deviceId) };

async function open(certificate = leaf): Promise<RawPeer> {
  const peer = new RawPeer(service.dial({ certificate, serverName: hubHost }));
  peer.write(amqpHeader);
  peer.send('open', { container_id: 'guid', hostname: hubHost, max_frame_size: 65536, idle_time_out: 120000 });
  peer.send('begin', { next_outgoing_id: 0, incoming_window: 2048, outgoing_window: 2048, properties: {} });
  await peer.next('begin');
  peer.send('attach', telemetryLink);
  await peer.next('attach');
  return peer;
}

async function openTwin(peer: RawPeer): Promise<(message: Record<string, unknown>) => void> {
  peer.send('attach', twinReceiver);
  peer.send('attach', twinSender);
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 2048,
    next_outgoing_id: 0,
    outgoing_window: 2048,
    handle: 1,
    delivery_count: 0,
    link_credit: 50,
  });
  await peer.next('attach', 3);
  return (message) => void peer.transfer(2, message, true);
}

const put = (correlation: string) => ({
  correlation_id: correlation,
  message_annotations: { operation: 'PUT', resource: '/notifications/twin/properties/desired', version: null },
});

/** What the reader of a twin answer looks at, with the wire types. */
function read({ fields, payload }: RawFrame) {
  const parts = sections(payload);
  const annotations = entries(parts.get(0x72));
  const { status, version } = Object.fromEntries(annotations);
  const correlation = parts.get(0x73)?.value[5];
  return {
    tagBytes: fields[2]?.value.length,
    settled: fields[4]?.value,
    status: status && [status.type.name, status.value],
    version: version && [version.type.name, version.value],
    correlation: correlation?.value == null ? undefined : [correlation.type.name, correlation.value],
    body: parts.get(0x75)?.value.toString(),
  };
}

test('ok/the exchange of chapter 4.11', async () => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  // 2, 3, 5: no SASL; the first link is the telemetry sender, source and target echoed, credit granted.
  expect(peer.headers).toEqual([amqpHeader]);
  const attach = (await peer.next('attach')).fields;
  expect([attach[0]?.value, attach[2]?.value, attach[5]?.value[0].value, attach[6]?.value[0].value]).toEqual([
    'TelemetrySenderLink',
    true,
    deviceId,
    events,
  ]);
  expect((await peer.next('flow')).fields[6]?.value).toBeGreaterThanOrEqual(100);
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Connected');

  // 6: twin links.
  const ask = await openTwin(peer);
  const [, receiver, sender] = peer.named('attach').map(({ fields }) => fields);
  for (const fields of [receiver, sender]) expect([fields?.[3]?.value, fields?.[4]?.value]).toEqual([1, 0]);
  expect(receiver?.[9]?.value).toBe(0);

  // 7, 8: PUT, PUT and GET.
  ask(put('Put1'));
  ask(put('Put2'));
  ask({ correlation_id: 'Get1', message_annotations: { operation: 'GET' } });
  expect(read(await peer.next('transfer'))).toEqual({
    tagBytes: 16,
    settled: true,
    status: ['Int', 200],
    version: undefined,
    correlation: ['Str8', 'Put1'],
    body: '',
  });
  const got = read(await peer.next('transfer', 3));
  expect(got.correlation).toEqual(['Str8', 'Get1']);
  expect(JSON.parse(got.body)).toEqual({ desired: { $version: 1 }, reported: { $version: 1 } });

  // 9: PATCH.
  ask({
    correlation_id: 'Patch1',
    message_annotations: { operation: 'PATCH', resource: '/properties/reported', version: null },
    body: rheaMessage.data_section(Buffer.from('{"temperature":21}')),
  });
  expect(read(await peer.next('transfer', 4))).toMatchObject({
    status: ['Int', 200],
    version: ['SmallLong', 2],
    correlation: ['Str8', 'Patch1'],
  });

  // 10: telemetry, unsettled, acknowledged once it is stored.
  const id = peer.transfer(0, { message_id: 'm-1', body: rheaMessage.data_section(Buffer.from('{"t":1}')) });
  const { fields } = await peer.next('disposition');
  expect([fields[1]?.value, fields[3]?.value, fields[4]?.descriptor?.value]).toEqual([id, true, 0x24]);

  // 11: a desired change.
  await service.hub.twins.patch('hub-a', deviceId, {
    body: { properties: { desired: { mode: 'eco' } } },
    precondition: { kind: 'absent' },
  });
  const notification = read(await peer.next('transfer', 5));
  expect(notification).toMatchObject({ correlation: undefined, status: undefined });
  expect(JSON.parse(notification.body)).toEqual({ mode: 'eco', $version: 2 });

  // 13: END, CLOSE.
  peer.send('end', {});
  await peer.next('end');
  peer.send('close', {});
  expect((await peer.next('close')).fields[0]?.value ?? null).toBeNull();
  await until(() => service.door.connectionCount() === 0, 'nobody');
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Disconnected');
});

test('ok/telemetry is accepted, settled, by its delivery id', async () => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  const message = { message_id: 'm-1', application_properties: { level: 'info' }, body: rheaMessage.data_section(Buffer.from('{"t":1}')) };
  const id = peer.transfer(0, message);
  const { fields } = await peer.next('disposition');
  expect([fields[0]?.value, fields[1]?.value, fields[3]?.value, fields[4]?.descriptor?.value]).toEqual([true, id, true, 0x24]);
  const [stored] = await service.store.read.telemetry.read('hub-a', { after: 0, limit: 10 });
  expect(stored).toMatchObject({ deviceId, systemProperties: { 'message-id': 'm-1' }, applicationProperties: { level: 'info' } });
  expect(Buffer.from(stored?.body ?? []).toString()).toBe('{"t":1}');
});

test('ok/a desired change arrives without a correlation id, after the PUT and not before', async () => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  const ask = await openTwin(peer);
  const change = (mode: string) =>
    service.hub.twins.patch('hub-a', deviceId, { body: { properties: { desired: { mode } } }, precondition: { kind: 'absent' } });
  await change('unseen');
  ask(put('Put1'));
  await peer.next('transfer');
  await change('eco');
  const notification = read(await peer.next('transfer', 2));
  expect(notification).toMatchObject({ correlation: undefined, status: undefined, version: ['SmallLong', 3], settled: true, tagBytes: 16 });
  expect(JSON.parse(notification.body)).toEqual({ mode: 'eco', $version: 3 });
  ask({ correlation_id: 'Delete1', message_annotations: { operation: 'DELETE', resource: '/notifications/twin/properties/desired' } });
  await peer.next('transfer', 3);
  await change('off');
  ask({ correlation_id: 'Get1', message_annotations: { operation: 'GET' } });
  expect(read(await peer.next('transfer', 4)).correlation).toEqual(['Str8', 'Get1']);
});

test('refused/a twin request that cannot be: status as int, JSON in the body', async () => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  const ask = await openTwin(peer);
  ask({
    correlation_id: wrap.wrap_uuid(Buffer.alloc(16, 5)),
    message_annotations: { operation: 'PATCH', resource: '/properties/reported' },
    body: rheaMessage.data_section(Buffer.from('[1]')),
  });
  const { status, correlation, body } = read(await peer.next('transfer'));
  expect(status).toEqual(['Int', 400]);
  expect(correlation?.[0]).toBe('Uuid');
  expect(JSON.parse(body)).toMatchObject({ errorCode: expect.any(Number), message: expect.any(String), trackingId: expect.any(String) });
});

test.each([
  ['an unknown device', 'amqp:not-found', 404001],
  ['another certificate', 'amqp:unauthorized-access', 401003],
  ['a disabled device', 'amqp:unauthorized-access', 403012],
])('refused/%s: ATTACH with a null target, then DETACH', async (what, condition, code) => {
  if (what !== 'an unknown device') await service.addDevice(deviceId, leaf);
  if (what === 'a disabled device') await service.setStatus(deviceId, 'disabled');
  const peer = await open(what === 'another certificate' ? leafOf(deviceId) : leaf);
  const detach = await peer.next('detach');
  expect((await peer.next('attach')).fields[6]?.value ?? null).toBeNull();
  const error = errorOf(detach.fields[2]);
  expect(error.condition).toBe(condition);
  expect(JSON.parse(error.description).errorCode).toBe(code);
  expect(detach.fields[1]?.value).toBe(true);
});

test.each([
  ['disabled', 'amqp:unauthorized-access', async () => await service.setStatus(deviceId, 'disabled')],
  ['deleted', 'amqp:not-found', async () => await service.hub.registry.delete('hub-a', deviceId, { kind: 'any' })],
])('ok/a device that is %s loses its links and its connection before the writer is answered', async (_, condition, change) => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  await openTwin(peer);
  await change();
  await until(() => peer.named('close').length === 1, 'CLOSE');
  expect(peer.named('detach').map(({ fields }) => errorOf(fields[2]).condition)).toEqual([condition, condition, condition]);
  expect(errorOf(peer.named('close')[0]?.fields[0]).condition).toBe(condition);
  await until(() => peer.closed || peer.stream.readableEnded, 'the end');
  expect(service.log.named('device.cut')).toMatchObject([{ sessions: 1, outcome: 'closed' }]);
});

test('ok/constant link names are attached again after a detach', async () => {
  await service.addDevice(deviceId, leaf);
  const peer = await open();
  peer.send('detach', { handle: 0, closed: true });
  peer.send('attach', telemetryLink);
  await peer.next('attach', 2);
  expect(peer.named('detach').every(({ fields }) => fields[2]?.value == null)).toBe(true);
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Connected');
  peer.send('close', {});
  await peer.next('close');
  await until(() => service.log.named('amqp.connection').length === 1 || peer.stream.readableEnded, 'the end');
  await until(() => service.door.connectionCount() === 0, 'nobody');
  expect((await service.hub.registry.get('hub-a', deviceId)).connectionState).toBe('Disconnected');
});
