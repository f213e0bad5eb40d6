import { afterEach, expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { createLocalBus } from '../../../src/bus/local.ts';
import { createHub } from '../../../src/hub/hub.ts';
import { instant, minutes, seconds } from '../../../src/kernel/clock.ts';
import type { Json } from '../../../src/kernel/json.ts';
import { openSqlStore } from '../../../src/stores/sql/store.ts';
import { createMqttEngine } from '../../../src/transports/mqtt/engine/engine.ts';
import { refusalCode } from '../../../src/transports/mqtt/errors.ts';
import { createHubBinding } from '../../../src/transports/mqtt/hub/binding.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { testLimits } from './test-binding.ts';
import { open, publishPacket, settle, type Opened, type TestClient } from './test-client.ts';

const host = 'hub-a.example';
const key = Buffer.alloc(32, 7).toString('base64');
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const resource of opened.splice(0).toReversed()) await resource.close();
});

async function start() {
  const clock = new FakeClock();
  const ids = new FakeIds();
  const log = new RecordingLog();
  const store = await openSqlStore({ path: ':memory:', log, clock });
  opened.push(store);
  const bus = createLocalBus({ clock, log });
  const anchors = { trustedCertificates: async () => ({ anchors: [], intermediates: [] }) };
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors });
  await hub.hubs.create({ name: 'hub-a', hostName: host });
  await hub.hubs.create({ name: 'hub-b', hostName: 'hub-b.example' });
  const binding = createHubBinding({ hub, clock, ids, log });
  const limits = { ...testLimits, unauthenticatedBytes: 16_384, subscriptions: 10, outboundBytes: 1024 * 1024 };
  const door = createMqttEngine({ bindings: [binding], limits, refusalCode, clock, ids, log });
  opened.push(door);
  const service = { clock, log, store, hub, door };
  await createDevice(service, 'dev');
  return service;
}

type Service = Awaited<ReturnType<typeof start>>;

async function createDevice({ hub }: Pick<Service, 'hub'>, deviceId: string): Promise<void> {
  const body: Json = { deviceId, status: 'enabled', authentication: { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } } };
  await hub.registry.put('hub-a', deviceId, { body, precondition: { kind: 'absent' } });
}

const tokenFor = (deviceId: string, base64Key = key): Buffer =>
  Buffer.from(createSasToken({ resource: `${host}/devices/${deviceId}`, base64Key, expiresAt: instant(Date.UTC(2026, 0, 1, 1)) }));

const userNameFor = (deviceId: string): string => `${host}/${deviceId}/?api-version=2021-04-12&DeviceClientType=test`;

async function enter(service: Service, options: Opened & { readonly deviceId?: string; readonly will?: string } = {}): Promise<TestClient> {
  const { deviceId = 'dev', will, ...peer } = options;
  const client = open(service.door, peer);
  client.connect({
    clientId: deviceId,
    username: userNameFor(deviceId),
    password: tokenFor(deviceId),
    clean: false,
    ...(will !== undefined && { will: { topic: will, payload: Buffer.from('gone'), qos: 1, retain: false } }),
  });
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 0, sessionPresent: false });
  return client;
}

const telemetry = (service: Service) => service.store.read.telemetry.read('hub-a', { after: 0, limit: 100 });

/** Messages of devices; the hub also stores events of its own. */
async function messages(service: Service) {
  return (await telemetry(service)).filter((row) => row.source === 'Telemetry');
}

test('ok/telemetry is stored before its PUBACK, in order, with its properties', async () => {
  const service = await start();
  const client = await enter(service);
  client.send(
    publishPacket('devices/dev/messages/events/%24.mid=m1&%24.ct=application%2Fjson&colour=deep%20blue', '{"t":1}', 1),
    publishPacket('devices/dev/messages/events/', 'second'),
    publishPacket('devices/dev/messages/events/a=1/', 'third', 2),
    { cmd: 'publish', topic: 'devices/dev/messages/events/', payload: 'fourth', qos: 1, messageId: 3, dup: false, retain: true },
  );
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
  expect(await messages(service)).not.toHaveLength(0);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 2 });
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 3 });
  const rows = await messages(service);
  expect(rows.map((row) => Buffer.from(row.body).toString())).toEqual(['{"t":1}', 'second', 'third', 'fourth']);
  expect(rows[0]).toMatchObject({
    deviceId: 'dev',
    systemProperties: { 'message-id': 'm1', 'content-type': 'application/json' },
    applicationProperties: { colour: 'deep blue' },
  });
  expect(rows[2]?.applicationProperties).toEqual({ a: '1' });
  expect(rows[3]?.applicationProperties).toEqual({ 'mqtt-retain': 'true' });
});

test('ok/twin: get, report, compare, and errors as answers', async () => {
  const service = await start();
  const client = await enter(service);
  await client.subscribe('$iothub/twin/res/#', 0);
  const ask = async (topic: string, payload = ''): Promise<{ topic: string; body: string }> => {
    client.publish(topic, payload);
    const packet = await client.next();
    if (packet?.cmd !== 'publish') throw new Error(`no answer but ${packet?.cmd ?? 'a closed connection'}`);
    return { topic: packet.topic, body: packet.payload.toString() };
  };
  const before = await ask('$iothub/twin/GET/?$rid=a', ' ');
  expect(before.topic).toBe('$iothub/twin/res/200/?$rid=a');
  expect(JSON.parse(before.body)).toEqual({ desired: { $version: 1 }, reported: { $version: 1 } });
  expect(await ask('$iothub/twin/PATCH/properties/reported/?$rid=b', '{"fan":{"speed":3}}')).toEqual({
    topic: '$iothub/twin/res/204/?$rid=b&$version=2',
    body: '',
  });
  expect((await ask('$iothub/twin/PATCH/properties/reported/?$rid=c&$version=1', '{"fan":null}')).topic).toBe(
    '$iothub/twin/res/412/?$rid=c',
  );
  expect((await ask('$iothub/twin/PATCH/properties/reported/?$rid=d&$version=2', '{"on":true}')).topic).toBe(
    '$iothub/twin/res/204/?$rid=d&$version=3',
  );
  for (const [rid, payload] of [
    ['e', '{"half":'],
    ['f', ''],
    ['g', '[1]'],
  ] as const) {
    const refused = await ask(`$iothub/twin/PATCH/properties/reported/?$rid=${rid}`, payload);
    expect(refused.topic).toBe(`$iothub/twin/res/400/?$rid=${rid}`);
    expect(JSON.parse(refused.body)).toMatchObject({ errorCode: 400004, timestampUtc: '2026-01-01T00:00:00.0000000Z' });
  }
  expect((await ask('$iothub/twin/PATCH/properties/reported/?$rid=h&$version=x', '{}')).topic).toBe('$iothub/twin/res/400/?$rid=h');
  const after = await ask('$iothub/twin/GET/?$rid=i');
  expect(JSON.parse(after.body)).toMatchObject({ reported: { fan: { speed: 3 }, on: true, $version: 3 } });
});

test('ok/desired properties reach the device that subscribed, at the QoS it was granted', async () => {
  const service = await start();
  const client = await enter(service);
  const patch = (speed: number) =>
    service.hub.twins.patch('hub-a', 'dev', { body: { properties: { desired: { speed } } }, precondition: { kind: 'absent' } });
  await patch(1);
  await client.subscribe('$iothub/twin/PATCH/properties/desired/#', 1);
  await patch(2);
  const packet = await client.next();
  expect(packet).toMatchObject({ cmd: 'publish', qos: 1, topic: '$iothub/twin/PATCH/properties/desired/?$version=3' });
  expect(packet?.cmd === 'publish' && JSON.parse(packet.payload.toString())).toEqual({ speed: 2, $version: 3 });
});

test('ok/subscriptions: the four documented filters, 0x80 for others', async () => {
  const service = await start();
  const client = await enter(service);
  const filters = [
    '$iothub/twin/res/#',
    '$iothub/twin/PATCH/properties/desired/#',
    '$iothub/methods/POST/#',
    'devices/dev/messages/devicebound/#',
    'devices/other/messages/devicebound/#',
    '#',
  ];
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters.map((topic) => ({ topic, qos: 1 as const })) });
  expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [1, 1, 1, 1, 128, 128] });
});

test("refused/publishing to another device's topic closes the connection", async () => {
  const service = await start();
  await createDevice(service, 'other');
  const client = await enter(service);
  client.publish('devices/dev/messages/events/', 'mine', 1);
  client.publish('devices/other/messages/events/', 'forged', 2);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
  expect(await client.next()).toBeUndefined();
  expect((await messages(service)).map((row) => Buffer.from(row.body).toString())).toEqual(['mine']);
});

test.each([
  ['a wrong key', { clientId: 'dev', username: userNameFor('dev'), password: tokenFor('dev', Buffer.alloc(32, 8).toString('base64')) }, 5],
  ['no credentials', { clientId: 'dev', username: userNameFor('dev') }, 5],
  ['an unknown device', { clientId: 'nobody', username: userNameFor('nobody'), password: tokenFor('nobody') }, 5],
  ["another device's token", { clientId: 'dev', username: userNameFor('dev'), password: tokenFor('dev2') }, 5],
  ['an unknown hub', { clientId: 'dev', username: 'hub-x.example/dev/?api-version=2021-04-12', password: tokenFor('dev') }, 5],
  ['a user name of another device', { clientId: 'dev', username: userNameFor('other'), password: tokenFor('dev') }, 2],
  ['a module', { clientId: 'dev/mod', username: userNameFor('dev/mod'), password: tokenFor('dev') }, 5],
  ['an id that is too long', { clientId: 'x'.repeat(129), username: userNameFor('x'.repeat(129)) }, 2],
  [
    'a will elsewhere',
    { clientId: 'dev', username: userNameFor('dev'), password: tokenFor('dev'), will: { topic: 'a', payload: Buffer.from('') } },
    2,
  ],
])('refused/%s', async (_, fields, returnCode) => {
  const service = await start();
  const client = open(service.door);
  client.connect(fields);
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode });
  expect(await client.next()).toBeUndefined();
  expect(service.log.named('mqtt.failure')).toEqual([]);
});

test('ok/the hub is found by the host of the user name with a port, else by SNI', async () => {
  const service = await start();
  const token = tokenFor('dev');
  const byPort = open(service.door);
  byPort.connect({ clientId: 'dev', username: `HUB-A.example:28883/dev/?api-version=2021-04-12`, password: token });
  expect(await byPort.next()).toMatchObject({ returnCode: 0 });
  const bySni = open(service.door, { serverName: host });
  bySni.connect({ clientId: 'dev', username: `198.51.100.1/dev/?api-version=2021-04-12`, password: token });
  expect(await bySni.next()).toMatchObject({ returnCode: 0 });
});

test('ok/a second connection takes over the first', async () => {
  const service = await start();
  const first = await enter(service);
  const second = await enter(service, { transport: 'mqtt-ws' });
  await first.closed;
  second.publish('devices/dev/messages/events/', 'still here', 1);
  expect(await second.next()).toMatchObject({ cmd: 'puback' });
  await settle();
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'cut', detail: 'taken-over', deviceId: 'dev' }]);
});

test('ok/disabling or deleting cuts the connection before the call returns, and the next one is refused', async () => {
  for (const act of ['disable', 'delete'] as const) {
    const service = await start();
    await createDevice(service, 'neighbour');
    const neighbour = await enter(service, { deviceId: 'neighbour' });
    const client = await enter(service, { will: 'devices/dev/messages/events/' });
    const any = { kind: 'any' } as const;
    if (act === 'delete') await service.hub.registry.delete('hub-a', 'dev', any);
    else await service.hub.registry.put('hub-a', 'dev', { body: { deviceId: 'dev', status: 'disabled' }, precondition: any });
    expect(service.log.named('mqtt.connection').map((fields) => fields['outcome'])).toEqual(['cut']);
    await client.closed;
    const again = open(service.door);
    again.connect({ clientId: 'dev', username: userNameFor('dev'), password: tokenFor('dev') });
    expect(await again.next()).toMatchObject({ cmd: 'connack', returnCode: 5 });
    neighbour.publish('devices/neighbour/messages/events/', 'undisturbed', 1);
    expect(await neighbour.next()).toMatchObject({ cmd: 'puback' });
    expect((await messages(service)).map((row) => row.deviceId)).toEqual(['neighbour']);
    await Promise.all(opened.splice(0).map((resource) => resource.close()));
  }
});

test('ok/the session ends with its token', async () => {
  const service = await start();
  const client = await enter(service);
  for (let minute = 0; minute < 59; minute += 1) {
    service.clock.advance(minutes(1));
    client.send({ cmd: 'pingreq' });
    await client.next();
  }
  expect(client.isClosed).toBe(false);
  service.clock.advance(minutes(6));
  await client.closed;
  await settle();
  expect(service.log.named('mqtt.connection')).toMatchObject([{ outcome: 'cut', detail: 'token-expired' }]);
});

test('ok/the will: sent when the device vanishes or is taken over, not after DISCONNECT or shutdown', async () => {
  const cases: readonly [string, (client: TestClient, service: Service) => void | Promise<unknown>, number][] = [
    ['vanishes', (client) => void client.stream.destroy(), 1],
    ['is silent', (_, service) => service.clock.advance(seconds(90)), 1],
    ['is taken over', (_, service) => enter(service), 1],
    ['says goodbye', (client) => client.send({ cmd: 'disconnect' }), 0],
    ['outlives the service', (_, service) => service.door.close(), 0],
  ];
  for (const [how, act, expected] of cases) {
    const service = await start();
    const client = await enter(service, { will: 'devices/dev/messages/events/%24.ct=text%2Fplain' });
    await settle();
    await act(client, service);
    await client.closed;
    await settle();
    await service.door.close();
    const wills = await messages(service);
    expect(wills, how).toHaveLength(expected);
    if (expected === 1) {
      expect(wills[0]).toMatchObject({
        systemProperties: { 'content-type': 'text/plain' },
        applicationProperties: { 'iothub-MessageType': 'Will' },
      });
    }
  }
});

test('refused/a message above 256 KB, on its declared length', async () => {
  const client = await enter(await start());
  client.sendBytes([0x30, 0x80, 0x84, 0x10]);
  expect(await client.next()).toBeUndefined();
});

test('ok/a message of exactly 256 KB', async () => {
  const service = await start();
  const client = await enter(service);
  client.publish('devices/dev/messages/events/', Buffer.alloc(256 * 1024), 1);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 1 });
});
