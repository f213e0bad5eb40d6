import { afterEach, beforeEach, expect, test } from 'vitest';
import { hours, plus, seconds } from '../../../src/kernel/clock.ts';
import { bodyOf, type Client, type ClientLink, data, openClient, wrap } from './client.ts';
import { until } from './raw-peer.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => {
  service = await openService();
  await service.addDevice('d1', leaf);
});
afterEach(async () => await service.close());

const leaf = leafOf('d1');
const devicebound = '/devices/d1/messages/devicebound';
const feedbackAddress = '/messages/serviceBound/feedback';

const asDevice = async (): Promise<Client> => await openClient(service.dial({ certificate: leaf }), { hostname: hubHost });

/** A service that puts its token as azure-iothub does. */
async function asService(keyName = 'service', expiresAt = plus(service.clock.now(), hours(1))): Promise<Client> {
  const client = await openClient(service.dial(), { hostname: hubHost });
  const answers = await client.receiver('$cbs');
  const sender = await client.sender('$cbs');
  await client.send(sender, {
    message_id: 'put',
    reply_to: 'cbs',
    application_properties: { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: hubHost },
    body: await service.token(hubHost, { keyName, expiresAt }),
  });
  expect((await answers.next()).application_properties['status-code']).toBe(200);
  return client;
}

const messageTo = (text: string, fields: Record<string, unknown> = {}) => ({
  to: devicebound,
  message_id: `id-${text}`,
  body: data(text),
  ...fields,
});
const textOf = (message: any): string => message.body.content.toString();
/** Until what is stored is so. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  let so = false;
  void (async () => {
    while (!(so = await isSo())) await new Promise((resolve) => setImmediate(resolve));
  })();
  await until(() => so, 'what is stored');
}
const drainedTo = (count: number): Promise<void> => eventually(async () => (await waiting()) === count);
const waiting = async () => (await service.hub.registry.get('hub-a', 'd1')).cloudToDeviceMessageCount;

async function send(...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await service.hub.cloudToDevice.send('hub-a', 'd1', {
      body: Buffer.from(text),
      systemProperties: { 'message-id': `id-${text}`, 'iothub-ack': 'full' },
      applicationProperties: {},
    });
  }
}

/** A receiver that leaves every decision to the test. */
const receive = (client: Client, address = devicebound, fields = {}): Promise<ClientLink> =>
  client.receiver(address, { autoaccept: false, credit_window: 50, ...fields });

test('ok/a service sends, the device gets it as it was sent, with what the hub adds', async () => {
  const client = await asService();
  const sender = await client.sender('/messages/devicebound');
  const sent = await client.send(sender, {
    ...messageTo('hello'),
    to: '/devices/d1/messages/deviceBound',
    correlation_id: 'c1',
    user_id: 'admin',
    content_type: 'text/plain',
    content_encoding: 'utf-8',
    absolute_expiry_time: new Date(service.clock.now() + 60_000),
    application_properties: { 'iothub-ack': 'full', colour: 'blue', level: 3 },
  });
  expect(sent.outcome).toBe('accepted');
  expect(await waiting()).toBe(1);
  const link = await receive(await asDevice());
  const message = await link.next();
  expect(message).toMatchObject({
    message_id: 'id-hello',
    correlation_id: 'c1',
    to: '/devices/d1/messages/deviceBound',
    content_type: 'text/plain',
    content_encoding: 'utf-8',
    absolute_expiry_time: new Date(service.clock.now() + 60_000),
    application_properties: { 'iothub-ack': 'full', colour: 'blue', level: '3' },
    message_annotations: { 'x-opt-sequence-number': 1, 'iothub-deliverycount': 0, 'iothub-enqueuedtime': new Date(service.clock.now()) },
  });
  expect(textOf(message)).toBe('hello');
  expect(message.delivery.tag).toHaveLength(16);
  expect(message.delivery.tag.toString('hex')).toBe(message.message_annotations['x-opt-lock-token'].replaceAll('-', ''));
});

test('ok/accepted completes, released and modified come again, rejected is gone', async () => {
  await send('a', 'b', 'c', 'd');
  const link = await receive(await asDevice());
  await link.next(4);
  const [a, b, c, d] = link.messages;
  // One by one: the client library joins what is decided in one turn, under the state of the first.
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  a.delivery.accept();
  await turn();
  b.delivery.release();
  await turn();
  c.delivery.reject({ condition: 'com.example:no', description: 'no' });
  await turn();
  d.delivery.modified({ delivery_failed: true });
  await link.next(6);
  const again = link.messages.slice(4);
  const counts = new Map(again.map((message) => [textOf(message), message.message_annotations['iothub-deliverycount']]));
  expect(counts).toEqual(
    new Map([
      ['b', 1],
      ['d', 1],
    ]),
  );
  for (const message of again) message.delivery.accept();
  await drainedTo(0);
});

test('ok/what a device that vanished had not settled comes again, in order', async () => {
  await send('a', 'b', 'c');
  const first = await asDevice();
  const link = await receive(first);
  await link.next(3);
  link.messages[1].delivery.accept();
  await drainedTo(2);
  first.connection.socket.destroy();
  const second = await receive(await asDevice());
  await second.next(2);
  expect(second.messages.map(textOf)).toEqual(['a', 'c']);
});

test('ok/a newer link of the device takes the messages over', async () => {
  await send('a');
  const client = await asDevice();
  const older = await receive(client);
  await older.next();
  const newer = await receive(client);
  expect((await older.ended()).condition).toBe('amqp:link:stolen');
  expect(textOf(await newer.next())).toBe('a');
});

test('ok/no more comes than there is credit for', async () => {
  await send('a', 'b', 'c');
  const client = await asDevice();
  const link = await client.receiver(devicebound, { autoaccept: false, credit_window: 0 });
  link.link.add_credit(2);
  await link.next(2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(link.messages.map(textOf)).toEqual(['a', 'b']);
  link.messages[0].delivery.accept();
  link.link.add_credit(1);
  expect(textOf(await link.next(3))).toBe('c');
});

test('ok/a peer that wants everything settled has completed by receiving', async () => {
  await send('a');
  const link = await receive(await asDevice(), devicebound, { snd_settle_mode: 1 });
  const message = await link.next();
  expect(message.delivery.remote_settled).toBe(true);
  await drainedTo(0);
});

test('refused/settling after the lock has ended, to a peer that waits for the answer', async () => {
  await send('a');
  const client = await asDevice();
  const link = await receive(client, devicebound, { rcv_settle_mode: 1, autosettle: false });
  const message = await link.next();
  service.clock.advance(seconds(60));
  await link.next(2);
  const settled = new Promise<any>((resolve) => link.link.on('settled', ({ delivery }: any) => resolve(delivery.remote_state)));
  message.delivery.update(false, wrap.described(wrap.wrap_ulong(0x24), wrap.wrap_list([])));
  expect((await settled).error.condition).toBe('com.microsoft:message-lock-lost');
  expect(await waiting()).toBe(1);
});

test.each([
  ['an unknown device', { to: '/devices/nobody/messages/devicebound' }, 'amqp:not-found', 404001],
  ['no address', { to: undefined }, 'com.microsoft:argument-error', 400004],
  ['an address that is none', { to: '/devices/d1/messages/events' }, 'com.microsoft:argument-error', 400004],
  ['a module', { to: '/devices/d1/modules/m/messages/devicebound' }, 'amqp:not-implemented', 501000],
  ['what has expired', { absolute_expiry_time: new Date(0) }, 'amqp:not-allowed', 403009],
  ['more than 64 KB', { body: data('x'.repeat(65_536)) }, 'amqp:link:message-size-exceeded', 413001],
])('refused/%s, and the link goes on', async (_what, fields, condition, code) => {
  const client = await asService();
  const sender = await client.sender('/messages/devicebound');
  const refused = await client.send(sender, messageTo('a', fields));
  expect([refused.outcome, refused.error.condition]).toEqual(['rejected', condition]);
  expect(JSON.parse(refused.error.description).errorCode).toBe(code);
  expect((await client.send(sender, messageTo('b'))).outcome).toBe('accepted');
  expect(await waiting()).toBe(1);
});

test('refused/one of two messages that arrive together is told apart from the other', async () => {
  const client = await asService();
  const sender = await client.sender('/messages/devicebound');
  const [good, bad, last] = await Promise.all([
    client.send(sender, messageTo('good')),
    client.send(sender, messageTo('bad', { to: '/devices/nobody/messages/devicebound' })),
    client.send(sender, messageTo('last')),
  ]);
  expect([good.outcome, bad.outcome, last.outcome]).toEqual(['accepted', 'rejected', 'accepted']);
  expect(await waiting()).toBe(2);
});

test('refused/the fifty-first message', async () => {
  const client = await asService();
  const sender = await client.sender('/messages/devicebound');
  await Promise.all(Array.from({ length: 50 }, (_, n) => client.send(sender, messageTo(String(n)))));
  const refused = await client.send(sender, messageTo('too many'));
  expect(refused.error.condition).toBe('amqp:resource-limit-exceeded');
  expect(JSON.parse(refused.error.description).errorCode).toBe(403004);
});

test.each([
  ['a device policy', 'device', '/messages/devicebound', 'amqp:unauthorized-access'],
  ['file notifications, which are none', 'service', '/messages/serviceBound/filenotifications', 'amqp:not-implemented'],
])('refused/%s', async (_what, keyName, address, condition) => {
  const client = await asService(keyName);
  const link = address.endsWith('filenotifications') ? await client.receiver(address) : await client.sender(address);
  expect((await link.ended()).condition).toBe(condition);
});

test('ok/SASL PLAIN is enough for a service, as az logs in', async () => {
  const token = await service.token(hubHost, { keyName: 'iothubowner' });
  const client = await openClient(service.dial(), { hostname: hubHost, username: 'iothubowner@sas.root.hub-a', password: token });
  const sender = await client.sender(`amqps://${hubHost}/messages/devicebound`);
  expect((await client.send(sender, messageTo('a'))).outcome).toBe('accepted');
});

test('refused/a service with the key of nobody, which the audit trail tells', async () => {
  const key = Buffer.alloc(32, 9).toString('base64');
  const token = await service.token(hubHost, { keyName: 'service', key });
  const client = await openClient(service.dial(), { hostname: hubHost, username: 'service@sas.root.hub-a', password: token });
  const sender = await client.sender('/messages/devicebound');
  expect((await sender.ended()).condition).toBe('amqp:unauthorized-access');
  const filter = { action: 'sign-in.refused' };
  const { items } = await service.store.read.audit.list({ order: 'newest-first', limit: 10, filter });
  expect(items).toMatchObject([
    {
      resource: { id: 'hub-service', scope: 'hub-a' },
      actor: { kind: 'stranger', origin: { transport: 'amqp' } },
      after: { reason: 'signature' },
    },
  ]);
});

test('refused/a service whose token has expired: its links end, and no message gets through', async () => {
  const client = await asService('service', plus(service.clock.now(), seconds(30)));
  const sender = await client.sender('/messages/devicebound');
  // Clocks may differ by five minutes.
  service.clock.advance(seconds(330));
  expect((await sender.ended()).condition).toBe('amqp:unauthorized-access');
  expect(await waiting()).toBe(0);
});

test('ok/feedback comes in batches of JSON and is gone once accepted', async () => {
  const client = await asService();
  const link = await receive(client, feedbackAddress, { rcv_settle_mode: 1 });
  await send('a', 'b');
  const device = await receive(await asDevice());
  await device.next(2);
  device.messages[0].delivery.accept();
  await drainedTo(1);
  device.messages[1].delivery.reject();
  await drainedTo(0);
  service.clock.advance(seconds(15));
  const batch = await link.next();
  expect(batch.content_type).toBe('application/vnd.microsoft.iothub.feedback.json');
  expect(batch.user_id.toString()).toBe('hub-a');
  expect(batch.message_annotations['iothub-enqueuedtime']).toBeInstanceOf(Date);
  expect(batch.delivery.tag).toHaveLength(16);
  expect(bodyOf(batch).map((record: any) => [record.originalMessageId, record.statusCode, record.deviceId])).toEqual([
    ['id-a', 'Success', 'd1'],
    ['id-b', 'Rejected', 'd1'],
  ]);
  batch.delivery.release();
  const again = await link.next(2);
  expect(bodyOf(again)).toEqual(bodyOf(batch));
  again.delivery.accept();
  await eventually(async () => (await service.store.read.queues.count({ hub: 'hub-a', name: 'feedback' })) === 0);
});

test('refused/feedback after the token has expired: the link ends', async () => {
  const client = await asService('service', plus(service.clock.now(), seconds(-290)));
  const link = await receive(client, feedbackAddress);
  await send('a');
  const { lockToken } = (await service.hub.deviceMessages.receive(await grant())) ?? expect.fail('nothing waits');
  await service.hub.deviceMessages.settle(await grant(), lockToken, 'complete');
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  service.clock.advance(seconds(10));
  expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
  expect(link.messages).toEqual([]);
});

async function grant() {
  return await service.hub.devicePlane.authenticate({
    hub: 'hub-a',
    deviceId: 'd1',
    credentials: { certificates: [leaf.der] },
    peer: { transport: 'amqp', remoteAddress: '127.0.0.1' },
  });
}

test('ok/a device that settles nothing is bounded: the oldest is taken back when the books are half full', async () => {
  const client = await asDevice();
  const link = await receive(client, devicebound, { credit_window: 0, autosettle: false, autoaccept: false });
  link.link.add_credit(5000);
  await send('stuck');
  const stuck = await link.next();
  const stuckOne = { takenBack: false };
  link.link.on('settled', ({ delivery }: any) => (stuckOne.takenBack ||= delivery === stuck.delivery));
  link.link.on('message', ({ message, delivery }: any) => {
    if (textOf(message) !== 'stuck') delivery.accept();
  });
  for (let round = 0; round < 30 && !stuckOne.takenBack; round += 1) {
    await Promise.all(Array.from({ length: 45 }, (_, n) => send(`${round}/${n}`)));
    await drainedTo(1);
  }
  expect(stuckOne.takenBack).toBe(true);
  expect(await waiting()).toBe(1);
}, 120_000);
