import { afterEach, beforeEach, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { wrap } from './client.ts';
import {
  amqpHeader,
  entries,
  errorOf,
  RawPeer,
  type RawFrame,
  rheaMessage,
  sections,
  source,
  target,
  type Typed,
  until,
} from './raw-peer.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

/** Messages and methods as the C# DeviceClient speaks them, frame by frame (hub chapters 4.4, 4.6, 4.8). */

let service: TestService;
let peer: RawPeer;
beforeEach(async () => {
  service = await openService();
  await service.addDevice(deviceId, leaf);
  peer = new RawPeer(service.dial({ certificate: leaf, serverName: hubHost }));
  peer.write(amqpHeader);
  peer.send('open', { container_id: 'guid', hostname: hubHost, max_frame_size: 65536, idle_time_out: 120000 });
  peer.send('begin', { next_outgoing_id: 0, incoming_window: 2048, outgoing_window: 2048, properties: {} });
  await peer.next('begin');
});
afterEach(async () => await service.close());

const deviceId = 'sensor-thl-002';
const leaf = leafOf(deviceId);
const root = `amqps://${hubHost}:5671/devices/${deviceId}`;
const channel = 'methods:4f7ad9d8-9ed4-4d35-a8a9-1be04c34e9f7';
const properties = { 'com.microsoft:client-version': '.NET/1.42.3', 'com.microsoft:api-version': '2020-09-30' };
const accepted = () => rheaMessage.accepted().described();
const rejected = () => rheaMessage.rejected().described();
const released = () => rheaMessage.released().described();
const typed = (value: Typed | undefined) => value && [value.type.name, value.value];
const waiting = async () => (await service.hub.registry.get('hub-a', deviceId)).cloudToDeviceMessageCount;

const grantCredit = (handle: number): void =>
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 2048,
    next_outgoing_id: 0,
    outgoing_window: 2048,
    handle,
    delivery_count: 0,
    link_credit: 50,
  });

async function send(text: string): Promise<void> {
  await service.hub.cloudToDevice.send('hub-a', deviceId, {
    body: Buffer.from(text),
    systemProperties: { 'message-id': 'm1', 'user-id': 'u1', 'content-type': 'text/plain', 'iothub-ack': 'full' },
    applicationProperties: { colour: 'blue' },
  });
}

/** `TelemetryReceiverLink`, which waits for a second settlement. */
async function openMessages(): Promise<RawFrame> {
  peer.send('attach', {
    name: 'TelemetryReceiverLink',
    handle: 0,
    role: true,
    rcv_settle_mode: 1,
    source: source(`${root}/messages/deviceBound`),
    target: target(deviceId),
    properties,
  });
  grantCredit(0);
  return await peer.next('attach');
}

test('ok/the message link: initial-delivery-count, termini and settle mode echoed, nothing promised about the sender', async () => {
  const { fields } = await openMessages();
  expect([fields[0]?.value, fields[2]?.value, fields[5]?.value[0].value, fields[6]?.value[0].value]).toEqual([
    'TelemetryReceiverLink',
    false,
    `${root}/messages/deviceBound`,
    deviceId,
  ]);
  expect(typed(fields[9])).toEqual(['Uint0', 0]);
  expect(fields[4]?.value).toBe(1);
});

test('ok/a message: unsettled, a GUID as tag, every annotation in its type, one data section', async () => {
  await openMessages();
  await send('hello');
  const { fields, payload } = await peer.next('transfer');
  expect(fields[2]?.value).toHaveLength(16);
  expect(fields[4]?.value ?? false).toBe(false);
  const parts = sections(payload);
  const annotations = Object.fromEntries([...entries(parts.get(0x72))].map(([name, value]) => [name, value.type.name]));
  expect(annotations).toEqual({
    'x-opt-sequence-number': 'SmallUlong',
    'iothub-enqueuedtime': 'Timestamp',
    'iothub-deliverycount': 'Ubyte',
    'x-opt-lock-token': 'Str8',
  });
  const [messageId, userId, to, , , , contentType] = (parts.get(0x73)?.value ?? []) as readonly Typed[];
  expect([messageId, userId, to, contentType].map((field) => typed(field))).toEqual([
    ['Str8', 'm1'],
    ['Vbin8', Buffer.from('u1')],
    ['Str8', `/devices/${deviceId}/messages/devicebound`],
    ['Sym8', 'text/plain'],
  ]);
  expect([...entries(parts.get(0x74))].map(([name, value]) => [name, ...(typed(value) ?? [])])).toEqual([
    ['colour', 'Str8', 'blue'],
    ['iothub-ack', 'Str8', 'full'],
  ]);
  expect(parts.get(0x75)?.value.toString()).toBe('hello');
});

test.each([
  ['accepted', accepted, 0x24, 0],
  ['rejected', rejected, 0x25, 0],
  ['released', released, 0x26, 1],
])('ok/%s is answered by a settled disposition of the same outcome, after it is stored', async (_name, state, code, left) => {
  await openMessages();
  await send('hello');
  const [, id] = (await peer.next('transfer')).fields;
  peer.send('disposition', { role: true, first: id?.value, last: id?.value, settled: false, state: state() });
  const { fields } = await peer.next('disposition');
  expect([fields[0]?.value, fields[1]?.value, fields[3]?.value]).toEqual([false, id?.value, true]);
  expect(fields[4]?.descriptor?.value).toBe(code);
  expect(await waiting()).toBe(left);
});

test('refused/a lock that has ended: rejected with message-lock-lost', async () => {
  await openMessages();
  await send('hello');
  const [, id] = (await peer.next('transfer')).fields;
  service.clock.advance(seconds(60));
  const again = await peer.next('transfer', 2);
  expect(again.fields[2]?.value.equals((await peer.next('transfer')).fields[2]?.value)).toBe(false);
  peer.send('disposition', { role: true, first: id?.value, last: id?.value, settled: false, state: accepted() });
  const { fields } = await peer.next('disposition');
  expect(fields[4]?.descriptor?.value).toBe(0x25);
  expect(errorOf(fields[4]?.value[0]).condition).toBe('com.microsoft:message-lock-lost');
  expect(await waiting()).toBe(1);
});

test('ok/a method: settled, a uuid as correlation id, and the answer under it', async () => {
  const links = {
    snd_settle_mode: 1,
    rcv_settle_mode: 0,
    properties: { ...properties, 'com.microsoft:channel-correlation-id': channel },
  };
  const address = `${root}/methods/deviceBound`;
  peer.send('attach', { ...links, name: 'MethodsReceiverLink', handle: 1, role: true, source: source(address), target: target(deviceId) });
  peer.send('attach', {
    ...links,
    name: 'MethodsSenderLink',
    handle: 2,
    role: false,
    initial_delivery_count: 0,
    source: source(deviceId),
    target: target(address),
  });
  grantCredit(1);
  await peer.next('attach', 2);
  const calling = service.hub.methods.invoke('hub-a', deviceId, { methodName: 'reboot', payload: { delay: 3 } });
  const { fields, payload } = await peer.next('transfer');
  expect([fields[2]?.value.length, fields[4]?.value]).toEqual([16, true]);
  const parts = sections(payload);
  const correlation = parts.get(0x73)?.value[5] as Typed;
  expect([correlation.type.name, correlation.value.length]).toEqual(['Uuid', 16]);
  expect(typed(entries(parts.get(0x74)).get('IoThub-methodname'))).toEqual(['Str8', 'reboot']);
  expect(parts.get(0x75)?.value.toString()).toBe('{"delay":3}');
  peer.transfer(
    2,
    {
      correlation_id: wrap.wrap_uuid(correlation.value),
      application_properties: { 'IoThub-status': wrap.wrap_int(200) },
      body: rheaMessage.data_section(Buffer.from('{"ok":true}')),
    },
    true,
  );
  expect(await calling).toEqual({ status: 200, payload: { ok: true } });
});

test('refused/a method whose device closes its links meanwhile', async () => {
  const links = { properties: { ...properties, 'com.microsoft:channel-correlation-id': channel } };
  const address = `${root}/methods/deviceBound`;
  peer.send('attach', { ...links, name: 'MethodsReceiverLink', handle: 1, role: true, source: source(address), target: target(deviceId) });
  peer.send('attach', { ...links, name: 'MethodsSenderLink', handle: 2, role: false, initial_delivery_count: 0, target: target(address) });
  grantCredit(1);
  await peer.next('attach', 2);
  const calling = expect(service.hub.methods.invoke('hub-a', deviceId, { methodName: 'reboot' })).rejects.toMatchObject({
    error: 'DeviceConnectionClosedRemotely',
  });
  await peer.next('transfer');
  peer.send('detach', { handle: 1, closed: true });
  await calling;
  await until(() => peer.named('detach').length > 0, 'DETACH');
});
