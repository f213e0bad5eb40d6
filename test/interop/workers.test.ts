import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSasToken } from '../../src/access/sas-token.ts';
import { parseConnectionString } from '../../src/contracts/connection-string.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import { callHttps, type HttpsAnswer } from './harness/https.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';
import { missingFromEvents } from './harness/stored-events.ts';

// A service with two worker processes, of which one is killed while devices of both send: its devices come back by themselves, those
// of the other notice nothing, nothing that was acknowledged is missing, and a device is shut out wherever it is connected.

const count = 24;
const hub = 'localhost';
const folder = temporaryFolder();
const data = join(folder, 'data');
const key = Buffer.alloc(32, 7).toString('base64');

interface Device {
  readonly id: string;
  readonly client: MqttClient;
  closed: number;
}

let service: RunningService;
let ca: string;
const devices: Device[] = [];
const acknowledged = new Set<string>();

beforeAll(async () => {
  service = await startService(data, ['--workers', '2']);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  for (let at = 0; at < count; at += 1) devices.push(await connect(`device-${at}`));
});
afterAll(async () => {
  for (const { client } of devices) client.end(true);
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test.skipIf(process.platform !== 'linux')('a worker that is killed is replaced, and nothing that was acknowledged is lost', async () => {
  const workers = workersOf(service.endpoints.pid);
  expect(workers).toHaveLength(2);
  expect(await connected()).toBe(count);
  await sendAll('before');

  // Sent while it dies: what its devices were told of must be there, and what they were not told of they send again.
  const sending = sendAll('meanwhile');
  process.kill(workers[0] ?? 0, 'SIGKILL');
  await sending;
  const lost = devices.filter(({ closed }) => closed > 0);
  // The kernel hands connections to whoever takes them first.
  expect(lost.length).toBeLessThan(count);
  await expect.poll(() => devices.filter(({ client }) => !client.connected), { timeout: 30_000 }).toEqual([]);
  await sendAll('after');
  expect(devices.filter(({ closed }) => closed > 0)).toEqual(lost);
  await expect.poll(() => workersOf(service.endpoints.pid).length, { timeout: 30_000 }).toBe(2);
  await expect.poll(connected, { timeout: 30_000 }).toBe(count);
  expect(await missingFromEvents(service, acknowledged)).toEqual([]);
  expect(acknowledged.size).toBe(3 * count);

  for (const device of devices) {
    const { status } = await registry('PUT', device.id, { status: 'disabled' });
    expect(status).toBe(200);
    await expect.poll(() => device.client.connected, { timeout: 10_000 }).toBe(false);
  }
  expect(await connected()).toBe(0);
});

test.skipIf(process.platform !== 'linux')(
  'a service that is killed takes its workers along, and the next one starts over the same folder',
  async () => {
    const before = workersOf(service.endpoints.pid);
    await service.stop('SIGKILL');
    service = await startService(data, ['--workers', '2']);
    expect(workersOf(service.endpoints.pid)).toHaveLength(2);
    for (const pid of before) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await service.stop();
  },
);

async function connect(id: string): Promise<Device> {
  const created = await registry('PUT', id, { status: 'enabled' }, {});
  expect(created.status).toBe(200);
  const client = await mqtt.connectAsync(`mqtts://localhost:${service.endpoints.ports.mqtts}`, {
    clientId: id,
    username: `${hub}/${id}/?api-version=2021-04-12`,
    password: createSasToken({ resource: `${hub}/devices/${id}`, base64Key: key, expiresAt: inAnHour() }),
    ca,
    clean: true,
    reconnectPeriod: 100,
  });
  client.on('error', () => undefined);
  const device: Device = { id, client, closed: 0 };
  client.on('close', () => (device.closed += 1));
  return device;
}

/** The client sends again what was not acknowledged when its connection ended. */
async function sendAll(what: string): Promise<void> {
  await Promise.all(
    devices.map(async ({ id, client }) => {
      const body = `${id} ${what}`;
      await client.publishAsync(`devices/${id}/messages/events/`, body, { qos: 1 });
      acknowledged.add(body);
    }),
  );
}

async function connected(): Promise<number> {
  const answer = await azure('GET', '/statistics/service?api-version=2021-04-12');
  return (JSON.parse(answer.body) as { connectedDeviceCount: number }).connectedDeviceCount;
}

function registry(
  method: string,
  id: string,
  { status }: { readonly status: string },
  headers: Readonly<Record<string, string>> = { 'If-Match': '*' },
): Promise<HttpsAnswer> {
  const authentication = { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
  return azure(method, `/devices/${id}?api-version=2021-04-12`, { deviceId: id, status, authentication }, headers);
}

function azure(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpsAnswer> {
  const { hostName, sharedAccessKey, sharedAccessKeyName } = parseConnectionString(service.endpoints.hubs[0]?.connectionString ?? '');
  const authorization = createSasToken({
    resource: hostName,
    base64Key: sharedAccessKey,
    keyName: sharedAccessKeyName,
    expiresAt: inAnHour(),
  });
  return callHttps({
    method,
    port: service.endpoints.ports.https ?? 0,
    path,
    ca,
    headers: { authorization, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const inAnHour = (): ReturnType<typeof plus> => plus(instant(Date.now()), hours(1));

/** The processes that a service has started. */
function workersOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
