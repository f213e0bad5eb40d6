import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import mqtt from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSasToken } from '../../src/access/sas-token.ts';
import { parseConnectionString } from '../../src/contracts/connection-string.ts';
import type { Receipt } from '../../src/contracts/fleet/receipt.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import { callHttps } from './harness/https.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';
import { missingFromEvents } from './harness/stored-events.ts';

// Some of many connected devices are deprovisioned while all of them send. Every one of them loses its connection, none of the
// others does, and no message that was acknowledged is missing. How long it took from the commit until the device's own side
// saw its socket closed is printed, not judged: it depends on the machine. MUSTER_TEST_DEVICES=2000 is the whole of it.

const rhea = createRequire(import.meta.url)('rhea');
const count = Number(process.env['MUSTER_TEST_DEVICES'] ?? 60);
const transports = ['mqtt', 'amqp', 'mqtt-ws'] as const;
/** One device in so many is put out. */
const oneIn = count >= 1000 ? 10 : 5;
const folder = temporaryFolder();
const data = join(folder, 'data');
const hub = 'localhost';
const key = Buffer.alloc(32, 7).toString('base64');

interface Connected {
  readonly id: string;
  readonly transport: (typeof transports)[number];
  /** When this side saw its socket closed, in milliseconds since 1970. */
  closedAt?: number;
  /** Resolves when the service has acknowledged it; rejects when the connection is gone. */
  send(body: string): Promise<void>;
  close(): void;
}

let service: RunningService;
let ca: string;
let devices: Connected[] = [];
const acknowledged = new Set<string>();
const lost: string[] = [];
/** An object, because loops watch it. */
const progress = { over: false };

beforeAll(async () => {
  service = await startService(data);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  const ids = Array.from({ length: count }, (_, at) => `many-${at}`);
  await inTurns(ids, 100, (some) => createIdentities(some));
  await inTurns(ids, 20, async (some) => {
    devices.push(...(await Promise.all(some.map((id) => connect(id, transports[Number(id.slice(5)) % transports.length] ?? 'mqtt')))));
  });
}, 600_000);
afterAll(async () => {
  progress.over = true;
  for (const device of devices) device.close();
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test(`of ${count} connected devices some are put out, and the others lose nothing`, { timeout: 600_000 }, async () => {
  const victims = devices.filter((_, at) => Math.floor(at / transports.length) % oneIn === 0);
  const sending = Array.from({ length: 8 }, (_, lane) => sendInTurn(lane));
  const receipts = new Map<string, Receipt>();
  for (const { id } of victims) receipts.set(id, await deprovision(id));
  await expect.poll(() => victims.filter(({ closedAt }) => closedAt === undefined).length, { timeout: 20_000 }).toBe(0);
  progress.over = true;
  await Promise.all(sending);

  const others = devices.filter((device) => !victims.includes(device));
  expect(others.filter(({ closedAt }) => closedAt !== undefined)).toEqual([]);
  expect(lost.filter((id) => !receipts.has(id))).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(0);
  expect(await missingFromEvents(service, acknowledged)).toEqual([]);
  for (const [id, { timeToRevoke, proof }] of receipts) {
    expect([id, timeToRevoke?.sessions, proof?.filter(({ verdict }) => verdict === 'let-in')]).toEqual([id, 1, []]);
  }
  for (const transport of transports) report(transport, victims, receipts);
});

function report(transport: string, victims: readonly Connected[], receipts: ReadonlyMap<string, Receipt>): void {
  const own = victims.filter((victim) => victim.transport === transport);
  const seen = own.map(({ id, closedAt = 0 }) => closedAt - Date.parse(receipts.get(id)?.timeToRevoke?.committedAt ?? ''));
  const measured = own.map(({ id }) => receipts.get(id)?.timeToRevoke?.milliseconds ?? Number.NaN);
  // A commit is written down in whole milliseconds, as is the end, so that a difference may be one too little.
  expect(seen.every((milliseconds) => milliseconds >= -1)).toBe(true);
  const words = (values: readonly number[]): string => `p50 ${quantile(values, 0.5)} ms, p99 ${quantile(values, 0.99)} ms`;
  console.info(
    `${transport}: ${own.length} of ${Math.round(count / transports.length)} put out; as the device saw it ${words(seen)}; by the receipts ${words(measured)}`,
  );
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** One message after the other, from one device after the other. */
async function sendInTurn(lane: number): Promise<void> {
  for (let turn = lane; !progress.over; turn += 8) {
    const device = devices[turn % devices.length];
    if (device === undefined || device.closedAt !== undefined) continue;
    const body = `${device.id}/${turn}`;
    try {
      await device.send(body);
      acknowledged.add(body);
    } catch {
      lost.push(device.id);
    }
  }
}

async function inTurns<T>(items: readonly T[], size: number, work: (some: readonly T[]) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await work(items.slice(at, at + size));
}

async function createIdentities(ids: readonly string[]): Promise<void> {
  const authentication = { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } };
  const { hostName, sharedAccessKey, sharedAccessKeyName } = parseConnectionString(service.endpoints.hubs[0]?.connectionString ?? '');
  const token = createSasToken({
    resource: hostName ?? '',
    base64Key: sharedAccessKey ?? '',
    keyName: sharedAccessKeyName ?? '',
    expiresAt: inAnHour(),
  });
  const answer = await callHttps({
    method: 'POST',
    port: service.endpoints.ports.https ?? 0,
    path: '/devices?api-version=2021-04-12',
    ca,
    headers: { authorization: token, 'content-type': 'application/json' },
    body: JSON.stringify(ids.map((id) => ({ id, importMode: 'create', authentication }))),
  });
  expect([answer.status, JSON.parse(answer.body)]).toMatchObject([200, { isSuccessful: true }]);
}

async function deprovision(device: string): Promise<Receipt> {
  const { hostname, port } = new URL(service.endpoints.api.url);
  expect(hostname).toBe('localhost');
  const answer = await callHttps({
    method: 'POST',
    port: Number(port),
    path: '/api/v1/deprovision',
    ca,
    headers: { authorization: `Bearer ${readFileSync(join(data, 'api-token'), 'utf8')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ device, reason: 'lost' }),
  });
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as Receipt;
}

const inAnHour = (): ReturnType<typeof plus> => plus(instant(Date.now()), hours(1));
const tokenOf = (id: string): string => createSasToken({ resource: `${hub}/devices/${id}`, base64Key: key, expiresAt: inAnHour() });

function connect(id: string, transport: Connected['transport']): Promise<Connected> {
  return transport === 'amqp' ? connectAmqp(id) : connectMqtt(id, transport);
}

async function connectMqtt(id: string, transport: 'mqtt' | 'mqtt-ws'): Promise<Connected> {
  const { mqtts, https } = service.endpoints.ports;
  const url = transport === 'mqtt' ? `mqtts://localhost:${mqtts}` : `wss://localhost:${https}/$iothub/websocket`;
  const client = await mqtt.connectAsync(url, {
    clientId: id,
    username: `${hub}/${id}/?api-version=2021-04-12`,
    password: tokenOf(id),
    ca,
    wsOptions: { ca },
    clean: true,
    reconnectPeriod: 0,
    keepalive: 240,
  });
  const closed = new Promise<never>((_resolve, reject) => {
    client.stream.once('close', () => {
      device.closedAt = Date.now();
      reject(new Error('closed'));
    });
  });
  closed.catch(() => undefined);
  const device: Connected = {
    id,
    transport,
    // Without a connection the client would keep the message for ever.
    send: async (body) => void (await Promise.race([client.publishAsync(`devices/${id}/messages/events/`, body, { qos: 1 }), closed])),
    close: () => void client.end(true),
  };
  client.on('error', () => undefined);
  return device;
}

async function connectAmqp(id: string): Promise<Connected> {
  const connection = rhea.create_container().connect({
    transport: 'tls',
    host: 'localhost',
    port: service.endpoints.ports.amqps,
    servername: 'localhost',
    ca,
    hostname: hub,
    username: `${id}@sas.${hub}`,
    password: tokenOf(id),
    reconnect: false,
    idle_time_out: 240_000,
  });
  const waiting = new Map<unknown, { resolve: () => void; reject: (error: Error) => void }>();
  await new Promise((resolve, reject) => {
    connection.once('connection_open', resolve);
    connection.once('disconnected', () => reject(new Error(`${id} was not let in`)));
  });
  const sender = connection.open_sender({ target: { address: `/devices/${id}/messages/events` } });
  const device: Connected = {
    id,
    transport: 'amqp',
    send: (body) =>
      new Promise((resolve, reject) => {
        if (device.closedAt !== undefined) return reject(new Error('closed'));
        const delivery = sender.send({ body: rhea.message.data_section(Buffer.from(body)) });
        waiting.set(delivery.id, { resolve, reject });
      }),
    close: () => connection.close(),
  };
  const settled = ({ delivery }: { delivery: { id: number } }, end: 'resolve' | 'reject'): void => {
    waiting.get(delivery.id)?.[end](new Error('rejected'));
    waiting.delete(delivery.id);
  };
  sender.on('accepted', (context: { delivery: { id: number } }) => settled(context, 'resolve'));
  for (const outcome of ['rejected', 'released', 'modified']) {
    sender.on(outcome, (context: { delivery: { id: number } }) => settled(context, 'reject'));
  }
  // Without listeners rhea throws what the service says when it cuts.
  for (const said of ['connection_error', 'session_error', 'sender_error', 'connection_close', 'disconnected'])
    connection.on(said, () => undefined);
  const { socket } = connection;
  socket.once('close', () => {
    device.closedAt = Date.now();
    for (const { reject } of waiting.values()) reject(new Error('closed'));
  });
  await new Promise((resolve) => sender.once('sendable', resolve));
  return device;
}
