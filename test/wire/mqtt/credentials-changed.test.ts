import { expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { instant } from '../../../src/kernel/clock.ts';
import type { Json } from '../../../src/kernel/json.ts';
import { startHub, host, type HubService } from './hub-service.ts';
import { settle, type TestClient } from './test-client.ts';

const used = Buffer.alloc(32, 7).toString('base64');
const spare = Buffer.alloc(32, 9).toString('base64');

const change = (service: HubService, primaryKey: string, secondaryKey: string): Promise<unknown> => {
  const body: Json = { deviceId: 'dev', authentication: { type: 'sas', symmetricKey: { primaryKey, secondaryKey } } };
  return service.hub.registry.put('hub-a', 'dev', { body, precondition: { kind: 'any' } });
};

async function isAlive(client: TestClient): Promise<boolean> {
  client.send({ cmd: 'pingreq' });
  await settle();
  return !client.isClosed;
}

test('ok/a session goes on while its key is one of the two, and is dropped when it is neither', async () => {
  const service = await startHub();
  const { client } = await service.enter('dev');
  await change(service, used, spare);
  expect(await isAlive(client)).toBe(true);
  await change(service, spare, used);
  expect(await isAlive(client)).toBe(true);
  await change(service, spare, spare);
  await client.closed;
  // MQTT 3.1.1 has no word for it: the hub drops the connection.
  expect(client.received.map(({ cmd }) => cmd)).toEqual(['connack', 'pingresp', 'pingresp']);
  expect((await service.hub.registry.get('hub-a', 'dev')).connectionState).toBe('Disconnected');
});

test('ok/a session by the token of a policy lives as long as the key of the policy', async () => {
  const service = await startHub();
  const policy = (await service.hub.hubs.policies('hub-a')).find(({ keyName }) => keyName === 'device');
  const password = createSasToken({
    resource: `${host}/devices/dev`,
    base64Key: policy?.primaryKey ?? '',
    keyName: 'device',
    expiresAt: instant(Date.UTC(2026, 0, 2)),
  });
  const { client } = await service.enter('dev', { password });
  await change(service, spare, spare);
  await service.hub.hubs.renewPolicyKey('hub-a', 'iothubowner', 'primary');
  expect(await isAlive(client)).toBe(true);
  await service.hub.hubs.renewPolicyKey('hub-a', 'device', 'primary');
  await client.closed;
});
