import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSasToken } from '../../src/access/sas-token.ts';
import { parseConnectionString } from '../../src/contracts/connection-string.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import mqttPacket from 'mqtt-packet';
import { callHttps } from './harness/https.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// Messages are sent to a device that loses its connection at random, while the service is killed with SIGKILL at random.
// Every message whose sender was told that it is queued must arrive, in order apart from repetitions, and its feedback say so.

const rhea = createRequire(import.meta.url)('rhea');
const count = Number(process.env['MUSTER_TEST_MESSAGES'] ?? 300);
const kills = Math.max(3, Math.round(count / 100));
const folder = temporaryFolder();
const data = join(folder, 'data');
const deviceId = 'storm';
const hub = 'localhost';

let service: RunningService;
let ca: string;
let deviceKey: string;
/** Where the test is; an object, because loops watch it. */
const progress = { over: false, sent: 0 };
const acknowledged: string[] = [];
const arrived: string[] = [];
const succeeded = new Set<string>();
const otherEnds: string[] = [];

beforeAll(async () => {
  service = await startService(data);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  const created = await operator('PUT', `/devices/${deviceId}`, { deviceId });
  deviceKey = (JSON.parse(created.body) as { authentication: { symmetricKey: { primaryKey: string } } }).authentication.symmetricKey
    .primaryKey;
});
afterAll(async () => {
  progress.over = true;
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test(`${count} messages arrive over ${kills} kills, in order, and feedback says so`, { timeout: 60_000 + count * 400 }, async () => {
  const device = keepDevice();
  const feedback = keepFeedback();
  const sending = sendAll();
  for (let kill = 1; kill <= kills; kill += 1) {
    await reached(Math.round((kill * count) / (kills + 1)));
    await service.stop('SIGKILL');
    service = await startService(data);
    expect(service.output()).toMatch(/did not shut down cleanly/u);
  }
  await sending;
  const wanted = new Set(acknowledged);
  await eventually(() => new Set(arrived.filter((text) => wanted.has(text))).size === wanted.size && succeeded.size >= wanted.size);
  progress.over = true;
  await Promise.all([device, feedback]);

  // A message that was not acknowledged may have been queued all the same; one that was, must be there.
  expect(acknowledged.filter((text) => !arrived.includes(text))).toEqual([]);
  const firsts = arrived.filter((text, at) => arrived.indexOf(text) === at).map(Number);
  expect(firsts).toEqual(firsts.toSorted((a, b) => a - b));
  expect(acknowledged.filter((text) => !succeeded.has(text))).toEqual([]);
  expect(otherEnds).toEqual([]);
});

/** Sends one after the other until each is acknowledged, as a careful sender does: what fails is sent again under its number. */
async function sendAll(): Promise<void> {
  while (progress.sent < count) {
    await withService(async (client) => {
      const sender = client.open_sender({ target: { address: '/messages/devicebound' } });
      await outcome(sender, 'sender_open');
      while (progress.sent < count) {
        const text = String(progress.sent);
        sender.send({
          to: `/devices/${deviceId}/messages/devicebound`,
          message_id: text,
          application_properties: { 'iothub-ack': 'full' },
          body: rhea.message.data_section(Buffer.from(text)),
        });
        const done = await outcome(sender, 'accepted', 'rejected');
        if (done === 'accepted') {
          acknowledged.push(text);
          progress.sent += 1;
        }
        // The queue holds fifty: the device has to catch up first.
        else await pause(50);
      }
    });
  }
}

/** Collects feedback for as long as the test runs. */
async function keepFeedback(): Promise<void> {
  while (!progress.over) {
    await withService(async (client) => {
      const receiver = client.open_receiver({ source: { address: '/messages/serviceBound/feedback' }, autoaccept: true });
      receiver.on('message', ({ message }: any) => {
        for (const { originalMessageId, statusCode } of JSON.parse(message.body.content.toString())) {
          if (statusCode === 'Success') succeeded.add(originalMessageId);
          else otherEnds.push(`${originalMessageId} ${statusCode}`);
        }
      });
      await outcome(receiver, 'receiver_open');
      while (!progress.over && client.is_open()) await pause(50);
    });
  }
}

/** An MQTT device with a persistent session that cuts its own connection at random, sometimes before it acknowledges. */
async function keepDevice(): Promise<void> {
  while (!progress.over) {
    await deviceOnce().catch(() => pause(50));
  }
}

async function deviceOnce(): Promise<void> {
  const socket = await dial(service.endpoints.ports.mqtts ?? 0);
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  const sasToken = createSasToken({ resource: `${hub}/devices/${deviceId}`, base64Key: deviceKey, expiresAt: inAnHour() });
  let left = 3 + Math.floor(Math.random() * 40);
  parser.on('packet', (packet) => {
    if (packet.cmd === 'connack' && !packet.sessionPresent) {
      const subscriptions = [{ topic: `devices/${deviceId}/messages/devicebound/#`, qos: 1 as const }];
      socket.write(mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
    }
    if (packet.cmd !== 'publish') return;
    arrived.push(packet.payload.toString());
    if ((left -= 1) <= 0) socket.destroy();
    else socket.write(mqttPacket.generate({ cmd: 'puback', messageId: packet.messageId ?? 0 }));
  });
  socket.on('data', (chunk: Buffer) => parser.parse(chunk));
  socket.write(
    mqttPacket.generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: false,
      clientId: deviceId,
      keepalive: 60,
      username: `${hub}/${deviceId}/?api-version=2021-04-12`,
      password: Buffer.from(sasToken),
    }),
  );
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  while (!progress.over && !socket.destroyed) await Promise.race([closed, pause(100)]);
  socket.destroy();
}

/** A service's connection, with SASL PLAIN; whatever breaks it is what this test is about. */
async function withService(work: (client: any) => Promise<void>): Promise<void> {
  const policy = parseConnectionString(service.endpoints.hubs[0]?.connectionString ?? '');
  const token = createSasToken({
    resource: hub,
    base64Key: policy.sharedAccessKey,
    keyName: policy.sharedAccessKeyName,
    expiresAt: inAnHour(),
  });
  const client = rhea.create_container().connect({
    host: '127.0.0.1',
    servername: hub,
    hostname: hub,
    port: service.endpoints.ports.amqps,
    transport: 'tls',
    ca,
    username: `${policy.sharedAccessKeyName}@sas.root.localhost`,
    password: token,
    reconnect: false,
  });
  for (const event of ['error', 'protocol_error', 'connection_error', 'connection_close', 'disconnected', 'session_error'])
    client.on(event, () => {});
  client.container?.on('error', () => {});
  try {
    await outcome(client, 'connection_open');
    await work(client);
  } catch {
    await pause(50);
  } finally {
    client.close();
    client.socket?.destroy?.();
  }
}

/** The first of these events; rejects when the connection is gone first. */
function outcome(emitter: any, ...events: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = emitter.connection ?? emitter;
    const listeners = events.map((event) => ({ event, heard: () => end(() => resolve(event)) }));
    const lost = (): void => end(() => reject(new Error('connection lost')));
    const patience = setTimeout(lost, 10_000);
    const end = (settle: () => void): void => {
      clearTimeout(patience);
      connection.removeListener('disconnected', lost);
      for (const { event, heard } of listeners) emitter.removeListener(event, heard);
      settle();
    };
    for (const { event, heard } of listeners) emitter.on(event, heard);
    connection.on('disconnected', lost);
  });
}

function dial(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: hub, ca });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

async function operator(method: string, path: string, body: object) {
  const policy = parseConnectionString(service.endpoints.hubs[0]?.connectionString ?? '');
  const authorization = createSasToken({
    resource: hub,
    base64Key: policy.sharedAccessKey,
    keyName: policy.sharedAccessKeyName,
    expiresAt: inAnHour(),
  });
  return await callHttps({
    method,
    port: service.endpoints.ports.https ?? 0,
    path: `${path}?api-version=2021-04-12`,
    ca,
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const inAnHour = () => plus(instant(Date.now()), hours(1));
const pause = (span: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, span));

/** Until the device has got that many different ones. */
const reached = (enough: number): Promise<void> => eventually(() => new Set(arrived).size >= enough);

async function eventually(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(50);
}
