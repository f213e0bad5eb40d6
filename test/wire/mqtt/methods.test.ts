import { expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import type { JsonObject } from '../../../src/kernel/json.ts';
import { refusal } from '../../fixtures/hub-world.ts';
import { type HubService, startHub } from './hub-service.ts';
import { settle, type TestClient } from './test-client.ts';

const filter = '$iothub/methods/POST/#';
const invoke = (service: HubService, body: JsonObject = {}) =>
  service.hub.methods.invoke('hub-a', 'dev', { methodName: 'reboot', ...body });

async function call(client: TestClient) {
  const packet = await client.next();
  if (packet?.cmd !== 'publish') throw new Error(`no call but ${packet?.cmd ?? 'a closed connection'}`);
  const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=([^/&]+)$/u.exec(packet.topic) ?? [];
  return { name, rid: rid ?? '', qos: packet.qos, text: packet.payload.toString() };
}

test('ok/a call goes out at QoS 0 and its answer comes back', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter, 1);
  const calling = invoke(service, { payload: { delay: 3 } });
  const received = await call(client);
  expect(received).toMatchObject({ name: 'reboot', qos: 0, text: '{"delay":3}' });
  client.publish(`$iothub/methods/res/201/?$rid=${received.rid}`, '{"done":true}', 7);
  expect(await calling).toEqual({ status: 201, payload: { done: true } });
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 7 });
});

test('ok/answers in another order, one empty and one negative', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter, 0);
  const calling = [invoke(service), invoke(service, { methodName: 'a/b c' })];
  const [first, second] = [await call(client), await call(client)];
  expect(second.name).toBe('a%2Fb%20c');
  expect(first.text).toBe('null');
  client.publish(`$iothub/methods/res/200/?$rid=${second.rid}`, '"second"');
  client.publish(`$iothub/methods/res/-1/?$rid=${first.rid}`, '');
  expect(await Promise.all(calling)).toEqual([
    { status: -1, payload: null },
    { status: 200, payload: 'second' },
  ]);
});

test('ok/a caller that waits is served when the device comes and subscribes', async () => {
  const service = await startHub();
  const calling = invoke(service, { connectTimeoutInSeconds: 30 });
  await settle();
  const { client } = await service.enter('dev');
  await settle();
  await client.subscribe(filter);
  const received = await call(client);
  client.publish(`$iothub/methods/res/200/?$rid=${received.rid}`, '1');
  expect(await calling).toEqual({ status: 200, payload: 1 });
});

test('ok/a stored subscription takes calls as well', async () => {
  const service = await startHub();
  const first = await service.enter('dev');
  await first.client.subscribe(filter);
  first.client.stream.destroy();
  await settle();
  const calling = invoke(service, { connectTimeoutInSeconds: 30 });
  await settle();
  const { client } = await service.enter('dev');
  const received = await call(client);
  client.publish(`$iothub/methods/res/200/?$rid=${received.rid}`);
  expect(await calling).toEqual({ status: 200, payload: null });
});

test('refused/a device without the subscription, or that took it back', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await expect(invoke(service)).rejects.toMatchObject(refusal('DeviceNotOnline'));
  await client.subscribe(filter);
  client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [filter] });
  expect(await client.next()).toMatchObject({ cmd: 'unsuback' });
  await expect(invoke(service)).rejects.toMatchObject(refusal('DeviceNotOnline'));
});

test('refused/no answer in time, and the late one is acknowledged and nobody’s', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  const calling = expect(invoke(service, { responseTimeoutInSeconds: 5 })).rejects.toMatchObject(refusal('GatewayTimeout'));
  const { rid } = await call(client);
  service.clock.advance(seconds(5));
  await calling;
  client.publish(`$iothub/methods/res/200/?$rid=${rid}`, '{}', 3);
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 3 });
});

test('refused/the device is cut while it works', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  const calling = expect(invoke(service)).rejects.toMatchObject(refusal('DeviceConnectionClosedRemotely'));
  await call(client);
  await service.hub.registry.delete('hub-a', 'dev', { kind: 'any' });
  await calling;
});

test('refused/an answer that is not JSON', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await client.subscribe(filter);
  const calling = expect(invoke(service)).rejects.toMatchObject(refusal('IotHubFormatError'));
  const { rid } = await call(client);
  client.publish(`$iothub/methods/res/200/?$rid=${rid}`, 'oops');
  await calling;
});
