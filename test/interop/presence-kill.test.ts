import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSasToken } from '../../src/access/sas-token.ts';
import { parseConnectionString } from '../../src/contracts/connection-string.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import { callHttps } from './harness/https.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// When devices and modules were seen is known after a restart, whether the service was killed with SIGKILL or ended in order.

interface Shown {
  readonly connectionState: string;
  readonly connectionStateUpdatedTime: string;
  readonly lastActivityTime: string;
}

const hub = 'localhost';
const never = '0001-01-01T00:00:00';
const folder = temporaryFolder();
const data = join(folder, 'data');
const keys = new Map<string, string>();

let service: RunningService;
let ca: string;

beforeAll(async () => {
  service = await startService(data);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  for (const path of ['stays', 'leaves', 'never', 'stays/modules/part']) {
    const created = JSON.parse((await operator('PUT', `/devices/${path}`, {})).body);
    keys.set(path, created.authentication.symmetricKey.primaryKey);
  }
});
afterAll(async () => {
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test('a killed service knows at its next start who came and went, and that nobody is connected', { timeout: 120_000 }, async () => {
  const clients = [await connect('stays'), await connect('stays/modules/part')];
  const leaving = await connect('leaves');
  await leaving.endAsync();
  await expect.poll(async () => (await show('leaves')).connectionState, { timeout: 10_000 }).toBe('Disconnected');
  const before = await showAll();
  expect(Object.values(before).map(({ connectionState }) => connectionState)).toEqual([
    'Connected',
    'Connected',
    'Disconnected',
    'Disconnected',
  ]);
  // What is promised to be stored within a second, on a machine that may be busy.
  await pause(3000);
  const killedAt = Date.now();
  await service.stop('SIGKILL');
  await Promise.all(clients.map((client) => client.endAsync(true)));
  service = await startService(data);
  const after = await showAll();

  expect(after['leaves']).toEqual(before['leaves']);
  expect(after['never']).toEqual({ connectionState: 'Disconnected', connectionStateUpdatedTime: never, lastActivityTime: never });
  for (const path of ['stays', 'stays/modules/part']) {
    const { connectionState, connectionStateUpdatedTime, lastActivityTime } = after[path]!;
    expect([connectionState, lastActivityTime]).toEqual(['Disconnected', before[path]?.lastActivityTime]);
    expect(Date.parse(connectionStateUpdatedTime)).toBeGreaterThanOrEqual(killedAt);
    expect(Date.parse(connectionStateUpdatedTime)).toBeLessThanOrEqual(Date.now());
  }
});

test('one that ended in order lost nothing, not even the last message', { timeout: 120_000 }, async () => {
  const client = await connect('stays');
  await client.publishAsync('devices/stays/messages/events/', 'one', { qos: 1 });
  await client.publishAsync('devices/stays/messages/events/', 'two', { qos: 1 });
  const { lastActivityTime } = await show('stays');
  const endedAt = Date.now();
  await service.stop('SIGTERM');
  const overAt = Date.now();
  await client.endAsync(true);
  service = await startService(data);

  const after = await show('stays');
  expect([after.connectionState, after.lastActivityTime]).toEqual(['Disconnected', lastActivityTime]);
  expect(Date.parse(after.connectionStateUpdatedTime)).toBeGreaterThanOrEqual(endedAt);
  expect(Date.parse(after.connectionStateUpdatedTime)).toBeLessThanOrEqual(overAt);
});

async function showAll(): Promise<Readonly<Record<string, Shown>>> {
  const shown: Record<string, Shown> = {};
  for (const path of ['stays', 'stays/modules/part', 'leaves', 'never']) shown[path] = await show(path);
  return shown;
}

async function show(path: string): Promise<Shown> {
  const answer = await operator('GET', `/devices/${path}`);
  expect(answer.status).toBe(200);
  const { connectionState, connectionStateUpdatedTime, lastActivityTime } = JSON.parse(answer.body);
  return { connectionState, connectionStateUpdatedTime, lastActivityTime };
}

/** As a device, or as a module where the path names one. */
function connect(path: string): Promise<MqttClient> {
  const clientId = path.replace('/modules/', '/');
  return mqtt.connectAsync({
    protocol: 'mqtts',
    host: '127.0.0.1',
    servername: hub,
    port: service.endpoints.ports.mqtts ?? 0,
    ca,
    clientId,
    username: `${hub}/${clientId}/?api-version=2021-04-12`,
    password: createSasToken({ resource: `${hub}/devices/${path}`, base64Key: keys.get(path) ?? '', expiresAt: inAnHour() }),
    reconnectPeriod: 0,
  });
}

function operator(method: string, path: string, body?: object) {
  const policy = parseConnectionString(service.endpoints.hubs[0]?.connectionString ?? '');
  const { sharedAccessKey: base64Key, sharedAccessKeyName: keyName } = policy;
  const authorization = createSasToken({ resource: hub, base64Key, keyName, expiresAt: inAnHour() });
  return callHttps({
    method,
    port: service.endpoints.ports.https ?? 0,
    path: `${path}?api-version=2021-04-12`,
    ca,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const inAnHour = () => plus(instant(Date.now()), hours(1));
const pause = (span: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, span));
