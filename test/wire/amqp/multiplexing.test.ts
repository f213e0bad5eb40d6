import { afterEach, beforeEach, expect, test } from 'vitest';
import { limits } from '../../../src/contracts/limits.ts';
import { minutes, plus } from '../../../src/kernel/clock.ts';
import { bodyOf, type Client, type ClientLink, data, openClient } from './client.ts';
import { errorOf, RawPeer, until } from './raw-peer.ts';
import { hubHost, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

/** A connection as C#'s pool has it: one `$cbs` for all, put to by every device. */
async function openPool() {
  const client: Client = await openClient(service.dial(), { hostname: hubHost });
  const cbs = client.session();
  const answers = await cbs.receiver('$cbs');
  const requests = await cbs.sender('$cbs', { snd_settle_mode: 1 });
  let puts = 0;
  return {
    client,
    async put(deviceId: string, lifeMinutes = 60): Promise<number> {
      puts += 1;
      const token = await service.token(`${hubHost}/devices/${deviceId}`, { expiresAt: plus(service.clock.now(), minutes(lifeMinutes)) });
      requests.link.send({
        message_id: `m-${puts}`,
        application_properties: { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: 'n' },
        body: token,
      });
      return (await answers.next(puts)).application_properties['status-code'];
    },
  };
}

type Pool = Awaited<ReturnType<typeof openPool>>;

/** A device on the pool: a session of its own, telemetry, its messages and its twin. */
async function join(pool: Pool, deviceId: string, lifeMinutes = 60) {
  expect(await pool.put(deviceId, lifeMinutes)).toBe(200);
  const session = pool.client.session();
  const pair = { properties: { 'com.microsoft:channel-correlation-id': `twin:${deviceId}` }, snd_settle_mode: 1 };
  const telemetry = await session.sender(`/devices/${deviceId}/messages/events`, { name: 'TelemetrySenderLink' });
  const messages = await session.receiver(`/devices/${deviceId}/messages/devicebound`, { name: 'TelemetryReceiverLink' });
  const answers = await session.receiver(`/devices/${deviceId}/twin`, { name: 'TwinReceiverLink', ...pair });
  const requests = await session.sender(`/devices/${deviceId}/twin`, { name: 'TwinSenderLink', ...pair });
  const links: readonly ClientLink[] = [telemetry, messages, answers, requests];
  let asked = 0;
  return {
    session,
    links,
    messages,
    telemeter: () => pool.client.send(telemetry, { body: data(deviceId) }),
    async desired(): Promise<any> {
      asked += 1;
      requests.link.send({ message_annotations: { operation: 'GET' }, correlation_id: `Get${asked}`, body: data(' ') });
      return bodyOf(await answers.next(asked)).desired;
    },
  };
}

const isConnected = async (deviceId: string): Promise<boolean> =>
  (await service.hub.registry.get('hub-a', deviceId)).connectionState === 'Connected';

test('ok/each device on its own session is itself: telemetry, messages, twin and presence', async () => {
  const pool = await openPool();
  const ids = ['d1', 'd2', 'd3'];
  for (const id of ids) {
    await service.addDevice(id);
    await service.hub.twins.patch('hub-a', id, { body: { properties: { desired: { of: id } } }, precondition: { kind: 'any' } });
  }
  expect(await Promise.all(ids.map(isConnected))).toEqual([false, false, false]);
  const devices = [];
  for (const id of ids) devices.push(await join(pool, id));
  expect(await Promise.all(ids.map(isConnected))).toEqual([true, true, true]);
  for (const [at, device] of devices.entries()) {
    expect(await device.telemeter()).toMatchObject({ outcome: 'accepted' });
    expect(await device.desired()).toMatchObject({ of: ids[at] });
    await service.hub.cloudToDevice.send('hub-a', ids[at] as string, {
      body: Buffer.from(ids[at] as string),
      systemProperties: {},
      applicationProperties: {},
    });
    expect((await device.messages.next()).body.content.toString()).toBe(ids[at]);
  }
  const stored = await service.store.read.telemetry.read('hub-a', { after: 0, limit: 10 });
  expect(stored.map(({ deviceId, body }) => [deviceId, Buffer.from(body).toString()])).toEqual(ids.map((id) => [id, id]));
});

test.each([
  ['disabled', 'amqp:unauthorized-access', () => service.setStatus('d1', 'disabled')],
  ['deleted', 'amqp:not-found', () => service.hub.registry.delete('hub-a', 'd1', { kind: 'any' })],
  ['without a token any more', 'amqp:unauthorized-access', async () => service.clock.advance(minutes(5))],
])('ok/a device that is %s loses all of its links, and its neighbour nothing', async (_, condition, end) => {
  for (const id of ['d1', 'd2']) await service.addDevice(id);
  const pool = await openPool();
  const first = await join(pool, 'd1', 5);
  const second = await join(pool, 'd2');
  await end();
  for (const link of first.links) expect((await link.ended()).condition).toBe(condition);
  expect(second.links.every((link) => link.error() === undefined && link.link.is_open())).toBe(true);
  expect(await second.telemeter()).toMatchObject({ outcome: 'accepted' });
  expect(await isConnected('d2')).toBe(true);
  expect(pool.client.isDisconnected()).toBe(false);
});

test('ok/the only device with links does not take the connection along when others have put tokens', async () => {
  for (const id of ['d1', 'd2']) await service.addDevice(id);
  const pool = await openPool();
  const first = await join(pool, 'd1');
  await pool.put('d2');
  await service.setStatus('d1', 'disabled');
  for (const link of first.links) expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
  expect(pool.client.isDisconnected()).toBe(false);
  expect(await (await join(pool, 'd2')).telemeter()).toMatchObject({ outcome: 'accepted' });
});

test('ok/a token that one device renews carries on that device alone', async () => {
  for (const id of ['d1', 'd2']) await service.addDevice(id);
  const pool = await openPool();
  const first = await join(pool, 'd1', 5);
  const second = await join(pool, 'd2', 5);
  service.clock.advance(minutes(4));
  expect(await pool.put('d1', 5)).toBe(200);
  service.clock.advance(minutes(1));
  for (const link of second.links) expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
  expect(await first.telemeter()).toMatchObject({ outcome: 'accepted' });
  expect([await isConnected('d1'), await isConnected('d2')]).toEqual([true, false]);
});

test('ok/END of one session makes that device absent, and the place is free for it again', async () => {
  for (const id of ['d1', 'd2']) await service.addDevice(id);
  const pool = await openPool();
  const first = await join(pool, 'd1');
  const second = await join(pool, 'd2');
  for (let round = 0; round < 3; round += 1) {
    const device = round === 0 ? first : await join(pool, 'd1');
    expect(await isConnected('d1')).toBe(true);
    device.session.end();
    await untilAbsent('d1');
  }
  expect(await isConnected('d2')).toBe(true);
  expect(await second.telemeter()).toMatchObject({ outcome: 'accepted' });
});

async function untilAbsent(deviceId: string): Promise<void> {
  for (let turn = 0; turn < 200 && (await isConnected(deviceId)); turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(await isConnected(deviceId)).toBe(false);
}

test('ok/more devices than sessions may be begun before a token, on one connection', async () => {
  const pool = await openPool();
  const ids = Array.from({ length: 130 }, (_, at) => `d${at}`);
  for (const id of ids) await service.addDevice(id);
  const devices = [];
  for (const id of ids) {
    expect(await pool.put(id)).toBe(200);
    devices.push(await pool.client.session().sender(`/devices/${id}/messages/events`, { name: 'TelemetrySenderLink' }));
  }
  for (const link of devices) expect(await pool.client.send(link, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  expect(await Promise.all(ids.map(isConnected))).not.toContain(false);
});

test('refused/more sessions than a peer may begin before it has shown who it is', async () => {
  const peer = new RawPeer(service.dial());
  await peer.open({ hostname: hubHost, channel_max: 8191 });
  const begin = { next_outgoing_id: 1, incoming_window: 10, outgoing_window: 10 };
  for (let channel = 1; channel <= limits.amqpUnsettledSessions; channel += 1) peer.send('begin', begin, { channel });
  expect(errorOf((await peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
  expect(peer.named('begin')).toHaveLength(limits.amqpUnsettledSessions);
  await until(() => peer.closed, 'the end');
});

test('refused/links beyond what one session may have end the connection, not the service', async () => {
  await service.addDevice('d1');
  const pool = await openPool();
  await pool.put('d1');
  const session = pool.client.session();
  const links = [];
  for (let at = 0; at <= limits.amqpLinks; at += 1) links.push(session.sender('/devices/d1/messages/events', { name: `link-${at}` }));
  await until(pool.client.isDisconnected, 'the end');
  await Promise.all(links);
  expect(pool.client.closeError()).toMatchObject({ condition: 'amqp:resource-limit-exceeded' });
  const other = await openPool();
  expect(await other.put('d1')).toBe(200);
});
