import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Json } from '../../../src/kernel/json.ts';
import { minutes, plus } from '../../../src/kernel/clock.ts';
import { type Client, data, openClient } from './client.ts';
import { until } from './raw-peer.ts';
import { deviceKey, hubHost, leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

const spare = Buffer.alloc(32, 9).toString('base64');
const another = Buffer.alloc(32, 11).toString('base64');

const dial = (options: Record<string, unknown> = {}, peer: Parameters<TestService['dial']>[0] = {}): Promise<Client> =>
  openClient(service.dial(peer), { hostname: hubHost, ...options });

/** A device over a connection of its own, by SASL PLAIN. */
async function deviceBy(deviceId: string, key: string) {
  const client = await dial({
    username: `${deviceId}@sas.hub-a`,
    password: await service.token(`${hubHost}/devices/${deviceId}`, { key }),
  });
  const link = await client.sender(`/devices/${deviceId}/messages/events`);
  return { client, link, send: () => client.send(link, { body: data('x') }) };
}

async function byPolicy(keyName: string) {
  return await dial({ username: `${keyName}@sas.root.hub-a`, password: await service.token(hubHost, { keyName }) });
}

const change = (deviceId: string, authentication: Json): Promise<unknown> =>
  service.hub.registry.put('hub-a', deviceId, { body: { deviceId, authentication }, precondition: { kind: 'any' } });
const keys = (primaryKey: string, secondaryKey: string): Json => ({ type: 'sas', symmetricKey: { primaryKey, secondaryKey } });

test('ok/a session by the key that stays is untouched, and one by the key that goes is cut', async () => {
  for (const [id, key] of [
    ['stays', deviceKey],
    ['goes', spare],
  ] as const) {
    await service.addDevice(id);
    await change(id, keys(deviceKey, spare));
    const device = await deviceBy(id, key);
    await change(id, keys(deviceKey, another));
    if (id === 'stays') expect(await device.send()).toMatchObject({ outcome: 'accepted' });
    else expect((await device.link.ended()).condition).toBe('amqp:unauthorized-access');
  }
});

test('ok/keys that change places cut nobody', async () => {
  await service.addDevice('d1');
  await change('d1', keys(deviceKey, spare));
  const device = await deviceBy('d1', deviceKey);
  await change('d1', keys(spare, deviceKey));
  expect(await device.send()).toMatchObject({ outcome: 'accepted' });
});

test('ok/a thumbprint that names the same certificate otherwise cuts nobody; another one does', async () => {
  const leaf = leafOf('d1');
  await service.addDevice('d1', leaf);
  const client = await dial({}, { certificate: leaf });
  const link = await client.sender('/devices/d1/messages/events');
  const thumbprint = (primaryThumbprint: string): Json => ({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint } });
  await change('d1', thumbprint(leaf.certificate.sha1));
  expect(await client.send(link, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  await change('d1', thumbprint('AB'.repeat(32)));
  expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
});

test('ok/a device that a policy let in stays when its own keys change, and goes when the key of the policy does', async () => {
  await service.addDevice('d1');
  await service.addDevice('d2');
  const client = await byPolicy('device');
  const link = await client.sender('/devices/d1/messages/events');
  const own = await deviceBy('d2', deviceKey);
  await change('d1', keys(spare, another));
  await service.hub.hubs.renewPolicyKey('hub-a', 'device', 'secondary');
  expect(await client.send(link, { body: data('x') })).toMatchObject({ outcome: 'accepted' });
  await service.hub.hubs.renewPolicyKey('hub-a', 'device', 'primary');
  expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
  expect(await own.send()).toMatchObject({ outcome: 'accepted' });
});

test('ok/what services have open ends with the key of their policy, and with no other', async () => {
  await service.addDevice('d1');
  const [service1, owner] = [await byPolicy('service'), await byPolicy('iothubowner')];
  const sender = await service1.sender('/messages/devicebound');
  const feedback = await service1.receiver('/messages/serviceBound/feedback');
  const other = await owner.sender('/messages/devicebound');
  await service.hub.hubs.renewPolicyKey('hub-a', 'service', 'swap');
  expect(sender.link.is_open()).toBe(true);
  // The keys changed places: the one that signed is the secondary now.
  await service.hub.hubs.renewPolicyKey('hub-a', 'service', 'secondary');
  for (const link of [sender, feedback]) expect((await link.ended()).condition).toBe('amqp:unauthorized-access');
  await until(service1.isDisconnected, 'the end');
  expect(await owner.send(other, { to: '/devices/d1/messages/devicebound', body: data('x') })).toMatchObject({ outcome: 'accepted' });
  const again = await byPolicy('service');
  expect((await again.sender('/messages/devicebound')).error()).toBeUndefined();
});

test('ok/a service that has put a token of the new key before the old one goes is untouched', async () => {
  const client = await dial();
  const answers = await client.receiver('$cbs');
  const requests = await client.sender('$cbs', { snd_settle_mode: 1 });
  let puts = 0;
  const put = async (): Promise<number> => {
    puts += 1;
    const application = { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: 'n' };
    requests.link.send({
      message_id: `m-${puts}`,
      application_properties: application,
      body: await service.token(hubHost, { keyName: 'service' }),
    });
    return (await answers.next(puts)).application_properties['status-code'];
  };
  expect(await put()).toBe(200);
  await service.addDevice('d1');
  const sender = await client.sender('/messages/devicebound');
  await service.hub.hubs.renewPolicyKey('hub-a', 'service', 'swap');
  expect(await put()).toBe(200);
  await service.hub.hubs.renewPolicyKey('hub-a', 'service', 'secondary');
  expect(await client.send(sender, { to: '/devices/d1/messages/devicebound', body: data('x') })).toMatchObject({ outcome: 'accepted' });
});

test('ok/what a service has open ends with its token, after the time that clocks may differ', async () => {
  const password = await service.token(hubHost, { keyName: 'service', expiresAt: plus(service.clock.now(), minutes(1)) });
  const client = await dial({ username: 'service@sas.root.hub-a', password });
  const feedback = await client.receiver('/messages/serviceBound/feedback');
  service.clock.advance(minutes(5));
  expect(feedback.link.is_open()).toBe(true);
  service.clock.advance(minutes(1));
  expect((await feedback.ended()).condition).toBe('amqp:unauthorized-access');
});
