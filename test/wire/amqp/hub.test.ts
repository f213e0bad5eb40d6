import { afterEach, beforeEach, expect, test } from 'vitest';
import { hours, minutes, plus, seconds } from '../../../src/kernel/clock.ts';
import { bodyOf, type Client, data, encode, openClient, wrap } from './client.ts';
import { entries, RawPeer, rheaMessage, sections, source, target, until } from './raw-peer.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

const dial = (options: Record<string, unknown> = {}, peer: Parameters<TestService['dial']>[0] = {}): Promise<Client> =>
  openClient(service.dial(peer), { hostname: hubHost, ...options });

/** A connection with its `$cbs` links, and how to put a token. */
async function dialCbs(client?: Client) {
  const connected = client ?? (await dial());
  const receiver = await connected.receiver('$cbs');
  const sender = await connected.sender('$cbs', { snd_settle_mode: 1 });
  let count = 0;
  return {
    client: connected,
    async put(token: string, fields: Record<string, unknown> = {}): Promise<{ readonly status: number; readonly message: any }> {
      count += 1;
      const application = { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: 'ignored' };
      sender.link.send({
        message_id: `m-${count}`,
        to: '$cbs',
        reply_to: 'cbs',
        application_properties: application,
        body: token,
        ...fields,
      });
      const message = await receiver.next(count);
      return { status: message.application_properties['status-code'], message };
    },
  };
}

const telemetry = async (deviceId?: string) =>
  await service.store.read.telemetry.read('hub-a', { after: 0, limit: 100, ...(deviceId === undefined ? {} : { deviceId }) });

const twinLinks = async (client: Client, deviceId: string) => {
  const options = { snd_settle_mode: 1, rcv_settle_mode: 0, properties: { 'com.microsoft:channel-correlation-id': `twin:${deviceId}` } };
  const sender = await client.sender(`/devices/${deviceId}/twin`, options);
  const receiver = await client.receiver(`/devices/${deviceId}/twin`, options);
  return { sender, receiver };
};

test('ok/a device with a key puts a token, then sends and reads its twin', async () => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  const { status, message } = await put(await service.token(`${hubHost}/devices/d1`));
  expect([status, message.correlation_id, message.to, message.application_properties['status-description']]).toEqual([
    200,
    'm-1',
    'cbs',
    'OK',
  ]);
  const sender = await client.sender('/devices/d1/messages/events');
  expect(await client.send(sender, { body: data('{"a":1}') })).toMatchObject({ outcome: 'accepted' });
  expect((await telemetry())[0]).toMatchObject({ deviceId: 'd1' });
  const { sender: ask, receiver } = await twinLinks(client, 'd1');
  ask.link.send({ correlation_id: 'g', message_annotations: { operation: 'GET' }, body: ' ' });
  expect(bodyOf(await receiver.next())).toEqual({ desired: { $version: 1 }, reported: { $version: 1 } });
});

test('ok/status-code is an AMQP int, and the correlation id has the type of the message id', async () => {
  await service.addDevice('d1');
  const peer = new RawPeer(service.dial());
  await peer.open({ hostname: hubHost });
  peer.send('attach', { name: '$cbs-receiver', handle: 0, role: true, source: source('$cbs'), target: target('$cbs') });
  peer.send('attach', {
    name: '$cbs-sender',
    handle: 1,
    role: false,
    initial_delivery_count: 0,
    source: source('$cbs'),
    target: target('$cbs'),
  });
  peer.send('flow', {
    next_incoming_id: 0,
    incoming_window: 100,
    next_outgoing_id: 0,
    outgoing_window: 100,
    handle: 0,
    delivery_count: 0,
    link_credit: 10,
  });
  await peer.next('attach', 2);
  for (const [at, messageId] of [
    wrap.wrap_ulong(0),
    wrap.wrap_uuid(Buffer.alloc(16, 3)),
    'text',
    wrap.wrap_ulong(Buffer.alloc(8, 0xee)),
  ].entries()) {
    peer.transfer(1, {
      message_id: messageId,
      application_properties: { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: 'n' },
      body: await service.token(`${hubHost}/devices/d1`),
    });
    const parts = sections((await peer.next('transfer', at + 1)).payload);
    const status = entries(parts.get(0x74)).get('status-code');
    expect([status?.type.typecode, status?.value]).toEqual([0x71, 200]);
    expect(parts.get(0x73)?.value[5].type.name).toBe(['Ulong0', 'Uuid', 'Str8', 'Ulong'][at]);
  }
});

test.each([
  ['an unknown device', async () => await service.token(`${hubHost}/devices/nobody`), 404],
  ['another key', async () => await service.token(`${hubHost}/devices/d1`, { key: Buffer.from('other').toString('base64') }), 401],
  [
    'an expired token',
    async () => await service.token(`${hubHost}/devices/d1`, { expiresAt: plus(service.clock.now(), minutes(-6)) }),
    401,
  ],
  ['no token at all', async () => 'hello', 401],
  ['a token for another host', async () => await service.token('elsewhere.example/devices/d1'), 401],
  ['a policy that may not connect devices', async () => await service.token(hubHost, { keyName: 'registryRead' }), 401],
])('refused/put-token with %s', async (_, token, expected) => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  expect((await put(await token())).status).toBe(expected);
  const sender = await client.sender('/devices/d1/messages/events');
  expect((await sender.ended()).condition).toBe('amqp:unauthorized-access');
});

test.each([
  ['Node', (id: string) => id],
  ['C#', encodeURIComponent],
])('ok/%s puts a token for an id that has an escape of its own', async (_, written) => {
  await service.addDevice('a%41');
  const { client, put } = await dialCbs();
  // A token is encoded once more as a whole.
  expect((await put(await service.token(`${hubHost}/devices/${written('a%41')}`))).status).toBe(200);
  const sender = await client.sender('/devices/a%2541/messages/events');
  expect(await client.send(sender, { body: data('1') })).toMatchObject({ outcome: 'accepted' });
  expect(await telemetry('a%41')).toHaveLength(1);
});

test('refused/what is no put-token, in the status', async () => {
  const { put } = await dialCbs();
  expect((await put('x', { application_properties: { operation: 'delete-token' } })).status).toBe(400);
  expect((await put('x', { application_properties: { operation: 'put-token', type: 'jwt' } })).status).toBe(400);
});

test('refused/a disabled device is unauthorised, because C# repeats a 403', async () => {
  await service.addDevice('d1');
  await service.setStatus('d1', 'disabled');
  const { put } = await dialCbs();
  expect((await put(await service.token(`${hubHost}/devices/d1`))).status).toBe(401);
});

test('ok/a token for the hub by a policy opens any device; one for a device opens only that', async () => {
  await service.addDevice('d1');
  await service.addDevice('d2');
  const grouped = await dialCbs();
  expect((await grouped.put(await service.token(hubHost, { keyName: 'device' }))).status).toBe(200);
  for (const id of ['d1', 'd2']) {
    const sender = await grouped.client.sender(`/devices/${id}/messages/events`);
    expect(await grouped.client.send(sender, { body: data(id) })).toMatchObject({ outcome: 'accepted' });
  }
  const single = await dialCbs();
  await single.put(await service.token(`${hubHost}/devices/d1`));
  expect((await (await single.client.sender('/devices/d2/messages/events')).ended()).condition).toBe('amqp:unauthorized-access');
});

test('ok/SASL PLAIN is a token for the device', async () => {
  await service.addDevice('d1');
  const client = await dial({ username: 'd1@sas.hub-a', password: await service.token(`${hubHost}/devices/d1`) });
  const sender = await client.sender('/devices/d1/messages/events');
  expect(await client.send(sender, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
});

test('ok/a token that is put again carries the session on; without one it ends', async () => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  const until1 = plus(service.clock.now(), minutes(10));
  await put(await service.token(`${hubHost}/devices/d1`, { expiresAt: until1 }));
  const sender = await client.sender('/devices/d1/messages/events');
  service.clock.advance(minutes(5));
  expect((await put(await service.token(`${hubHost}/devices/d1`, { expiresAt: plus(service.clock.now(), minutes(10)) }))).status).toBe(200);
  service.clock.advance(minutes(7));
  expect(await client.send(sender, { body: data('still here') })).toMatchObject({ outcome: 'accepted' });
  expect(service.log.named('amqp.connection')).toHaveLength(0);
  service.clock.advance(minutes(3));
  expect((await sender.ended()).condition).toBe('amqp:unauthorized-access');
  await until(client.isDisconnected, 'the end');
});

test('ok/a wrong token put later leaves the session with the proof it had', async () => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  await put(await service.token(`${hubHost}/devices/d1`));
  const sender = await client.sender('/devices/d1/messages/events');
  expect((await put(await service.token(`${hubHost}/devices/d1`, { key: Buffer.from('other').toString('base64') }))).status).toBe(401);
  expect(await client.send(sender, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
});

test('ok/of two devices on one connection, disabling one leaves the other undisturbed', async () => {
  await service.addDevice('d1');
  await service.addDevice('d2');
  const { client, put } = await dialCbs();
  await put(await service.token(hubHost, { keyName: 'iothubowner' }));
  const first = await client.sender('/devices/d1/messages/events');
  const firstC2d = await client.receiver('/devices/d1/messages/devicebound');
  const second = await client.sender('/devices/d2/messages/events');
  await service.setStatus('d1', 'disabled');
  expect((await first.ended()).condition).toBe('amqp:unauthorized-access');
  expect((await firstC2d.ended()).condition).toBe('amqp:unauthorized-access');
  expect(await client.send(second, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  expect(client.isDisconnected()).toBe(false);
  const again = await client.sender('/devices/d1/messages/events');
  expect((await again.ended()).condition).toBe('amqp:unauthorized-access');
  await service.hub.registry.delete('hub-a', 'd2', { kind: 'any' });
  expect((await second.ended()).condition).toBe('amqp:not-found');
  await until(client.isDisconnected, 'the end: nobody was left');
});

test('ok/the newest connection of a device wins', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const older = await dial({}, { certificate: leaf });
  const olderSender = await older.sender('/devices/d1/messages/events');
  const newer = await dial({}, { certificate: leaf });
  const newerSender = await newer.sender('/devices/d1/messages/events');
  expect((await olderSender.ended()).condition).toBe('amqp:link:stolen');
  await until(older.isDisconnected, 'the end of the older');
  expect(await newer.send(newerSender, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
});

test('ok/a second link to one endpoint on one connection takes the place of the first', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const first = await client.sender('/devices/d1/messages/events');
  const second = await client.sender('/devices/d1/messages/events');
  expect((await first.ended()).condition).toBe('amqp:link:stolen');
  expect(await client.send(second, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  expect((await service.hub.registry.get('hub-a', 'd1')).connectionState).toBe('Connected');
});

test('ok/what a message carries is stored by its AMQP names', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const sender = await client.sender(`amqps://${hubHost}:5671/devices/d1/messages/events/`);
  await client.send(sender, {
    message_id: wrap.wrap_uuid(Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')),
    correlation_id: 'c',
    user_id: Buffer.from('user'),
    to: '/devices/d1/messages/events',
    content_type: 'application/json',
    content_encoding: 'utf-8',
    absolute_expiry_time: new Date('2027-01-01T00:00:00Z'),
    message_annotations: { 'iothub-interface-id': 'urn:x', ignored: 'y' },
    application_properties: { level: 'info', count: 3, hot: true, 'iothub-creation-time-utc': '2026-01-01T00:00:00Z', __proto__x: 'p' },
    body: data('{"t":1}'),
  });
  const [stored] = await telemetry();
  expect(stored?.systemProperties).toEqual({
    'message-id': '00010203-0405-0607-0809-0a0b0c0d0e0f',
    'correlation-id': 'c',
    'user-id': 'user',
    to: '/devices/d1/messages/events',
    'content-type': 'application/json',
    'content-encoding': 'utf-8',
    'absolute-expiry-time': '2027-01-01T00:00:00.000Z',
    'iothub-interface-id': 'urn:x',
    'iothub-creation-time-utc': '2026-01-01T00:00:00Z',
  });
  expect(stored?.applicationProperties).toEqual({ level: 'info', count: '3', hot: 'true', __proto__x: 'p' });
  expect(Buffer.from(stored?.body ?? []).toString()).toBe('{"t":1}');
});

test('ok/a batch is as many messages; one bad message refuses it whole', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const sender = await client.sender('/devices/d1/messages/events');
  const inner = ['a', 'b', 'c'].map((text) => encode({ message_id: text, body: rheaMessage.data_section(Buffer.from(text)) }));
  expect(await client.sendRaw(sender, encode({ body: rheaMessage.data_sections(inner) }), 0x80013700)).toMatchObject({
    outcome: 'accepted',
  });
  expect((await telemetry()).map(({ body, systemProperties }) => [Buffer.from(body).toString(), systemProperties['message-id']])).toEqual([
    ['a', 'a'],
    ['b', 'b'],
    ['c', 'c'],
  ]);
  const bad = encode({ body: rheaMessage.data_sections([...inner, Buffer.from('ffff', 'hex')]) });
  expect((await client.sendRaw(sender, bad, 0x80013700)).error.condition).toBe('com.microsoft:argument-error');
  expect((await client.sendRaw(sender, bad, 0x1234)).error.condition).toBe('com.microsoft:argument-error');
  expect(await telemetry()).toHaveLength(3);
});

test('refused/a body without bytes; a message beyond 256 KB', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const sender = await client.sender('/devices/d1/messages/events');
  expect((await client.send(sender, { body: { a: 1 } })).error.condition).toBe('com.microsoft:argument-error');
  sender.link.send({ body: data('x'.repeat(256 * 1024)) });
  expect((await sender.ended()).condition).toBe('amqp:link:message-size-exceeded');
  const again = await client.sender('/devices/d1/messages/events');
  expect(await client.send(again, { body: data('x'.repeat(250 * 1024)) })).toMatchObject({ outcome: 'accepted' });
});

test('refused/a message after the identity is gone, and only then', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const sender = await client.sender('/devices/d1/messages/events');
  await client.send(sender, { body: data('x') });
  await service.hub.registry.delete('hub-a', 'd1', { kind: 'any' });
  expect((await sender.ended()).condition).toBe('amqp:not-found');
  expect(await telemetry()).toHaveLength(1);
});

test('ok/links for messages and methods to the device are let in', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const receiver = await client.receiver('/devices/d1/messages/deviceBound', { rcv_settle_mode: 1 });
  const methods = await client.receiver('/devices/d1/methods/devicebound');
  const answers = await client.sender('/devices/d1/methods/devicebound');
  expect([receiver, methods, answers].map(({ link }) => link.is_open())).toEqual([true, true, true]);
  expect((await client.send(answers, { body: data('x') })).error.condition).toBe('com.microsoft:argument-error');
});

test.each([
  ['a device where services send', '/messages/devicebound', 'amqp:unauthorized-access'],
  ['a device at an Event Hubs node', '$management', 'amqp:unauthorized-access'],
  ['a module that the device does not have', '/devices/d1/modules/m/messages/events', 'amqp:not-found'],
  ['a device as sender where it receives', '/devices/d1/messages/devicebound', 'amqp:not-found'],
  ['nothing', '/devices/d1/elsewhere', 'amqp:not-found'],
])('refused/%s', async (_, address, condition) => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const sender = await client.sender(address);
  expect((await sender.ended()).condition).toBe(condition);
  expect((await service.hub.registry.get('hub-a', 'd1')).connectionState).toBe('Disconnected');
});

test('ok/the hub is found by OPEN, with or without a port, by SNI, or by the address', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const elsewhere = { hostname: 'nobody.example' };
  const ways: readonly [Record<string, unknown>, string | undefined, string][] = [
    [{ hostname: `${hubHost.toUpperCase()}:5671` }, undefined, '/devices/d1/twin'],
    [elsewhere, hubHost, '/devices/d1/twin'],
    [elsewhere, undefined, `amqps://${hubHost}/devices/d1/twin`],
  ];
  for (const [options, serverName, address] of ways) {
    const client = await dial(options, { certificate: leaf, ...(serverName === undefined ? {} : { serverName }) });
    expect((await client.receiver(address)).link.is_open()).toBe(true);
  }
  const lost = await dial(elsewhere, { certificate: leaf });
  expect((await (await lost.receiver('/devices/d1/twin')).ended()).condition).toBe('com.microsoft:iot-hub-not-found-error');
});

test.each(['a.b_c:d', 'percent%', 'hash#and?'])('ok/the id %s, encoded or as it is', async (deviceId) => {
  const leaf = leafOf('d1');
  await service.addDevice(deviceId, leaf);
  for (const id of [deviceId, encodeURIComponent(deviceId)]) {
    const client = await dial({}, { certificate: leaf });
    const sender = await client.sender(`/devices/${id}/messages/events`);
    expect(await client.send(sender, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  }
  expect(await telemetry(deviceId)).toHaveLength(2);
});

test('ok/patches of one device are done in their order', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const { sender, receiver } = await twinLinks(client, 'd1');
  for (let at = 0; at < 20; at += 1) {
    sender.link.send({
      correlation_id: `p${at}`,
      message_annotations: { operation: 'PATCH', resource: '/properties/reported' },
      body: data({ at }),
    });
  }
  await receiver.next(20);
  expect(receiver.messages.map(({ correlation_id: id, message_annotations: { version } }) => [id, version])).toEqual(
    Array.from({ length: 20 }, (_, at) => [`p${at}`, at + 2]),
  );
  expect((await service.hub.twins.get('hub-a', 'd1')).properties.reported).toMatchObject({ at: 19 });
});

test('ok/closing the door tells everybody and leaves no session', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  await client.sender('/devices/d1/messages/events');
  const closing = service.door.close();
  await until(client.isDisconnected, 'the end');
  service.clock.advance(seconds(2));
  await closing;
  expect(client.closeError().condition).toBe('amqp:connection:forced');
  expect(service.door.connectionCount()).toBe(0);
  expect((await service.hub.registry.get('hub-a', 'd1')).connectionState).toBe('Disconnected');
  const late = service.dial().resume();
  await until(() => late.readableEnded || late.destroyed || late.closed, 'a closed door');
});

test('ok/nothing that was secret is in the log', async () => {
  await service.addDevice('d1');
  const token = await service.token(`${hubHost}/devices/d1`, { expiresAt: plus(service.clock.now(), hours(2)) });
  const { put } = await dialCbs(await dial({ username: 'd1@sas.hub-a', password: token }));
  await put(token);
  await put(`${token}x`);
  service.clock.advance(hours(3));
  const signature = /sig=([^&]+)/u.exec(token)?.[1] as string;
  expect(JSON.stringify(service.log.events)).not.toContain(signature);
});

test('refused/whoever attaches at $cbs and puts no good token does not stay', async () => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  expect((await put(await service.token(`${hubHost}/devices/d1`, { key: Buffer.from('other').toString('base64') }))).status).toBe(401);
  service.clock.advance(seconds(20));
  await until(client.isDisconnected, 'the end');
});

test('ok/after a good token a client may take its time with its first link', async () => {
  await service.addDevice('d1');
  const { client, put } = await dialCbs();
  expect((await put(await service.token(`${hubHost}/devices/d1`))).status).toBe(200);
  service.clock.advance(seconds(60));
  const sender = await client.sender('/devices/d1/messages/events');
  expect(await client.send(sender, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
});
