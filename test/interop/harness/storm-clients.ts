import { createRequire } from 'node:module';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import mqttPacket from 'mqtt-packet';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { parseConnectionString } from '../../../src/contracts/connection-string.ts';
import { hours, instant, plus } from '../../../src/kernel/clock.ts';
import type { RunningService } from './service.ts';

const rhea = createRequire(import.meta.url)('rhea');

/** Where clients that live through the kills of a service find it; each connection asks anew. */
export interface Place {
  readonly hub: string;
  readonly ca: () => string;
  readonly service: () => RunningService;
  readonly isOver: () => boolean;
}

export interface StormDevice {
  readonly id: string;
  readonly key: string;
}

/** Told of each message; says whether the device is to lose its connection before it acknowledges. */
export type Taking = (text: string) => 'acknowledge' | 'break';

/** A life of an MQTT device with a persistent session; resolves when its connection is gone. */
export async function liveOverMqtt(place: Place, { id, key }: StormDevice, take: Taking): Promise<void> {
  const socket = await dial(place, place.service().endpoints.ports.mqtts);
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on('packet', (packet) => {
    if (packet.cmd === 'connack' && !packet.sessionPresent) {
      const subscriptions = [{ topic: `devices/${id}/messages/devicebound/#`, qos: 1 as const }];
      socket.write(mqttPacket.generate({ cmd: 'subscribe', messageId: 1, subscriptions }));
    }
    // What arrived behind the packet that broke the connection is lost with it.
    if (packet.cmd !== 'publish' || socket.destroyed) return;
    if (take(packet.payload.toString()) === 'break') socket.destroy();
    else socket.write(mqttPacket.generate({ cmd: 'puback', messageId: packet.messageId ?? 0 }));
  });
  socket.on('data', (chunk: Buffer) => parser.parse(chunk));
  socket.write(
    mqttPacket.generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: false,
      clientId: id,
      keepalive: 60,
      username: `${place.hub}/${id}/?api-version=2021-04-12`,
      password: Buffer.from(deviceToken(place, { id, key })),
    }),
  );
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  while (!place.isOver() && !socket.destroyed) await Promise.race([closed, pause(100)]);
  socket.destroy();
}

/** A life of an AMQP device; resolves when its connection is gone. */
export async function liveOverAmqp(place: Place, device: StormDevice, take: Taking): Promise<void> {
  const user = { username: `${device.id}@sas.${place.hub}`, password: deviceToken(place, device) };
  await withAmqp(place, user, async (client) => {
    const address = `/devices/${device.id}/messages/devicebound`;
    const receiver = client.open_receiver({ source: { address }, autoaccept: false, credit_window: 20 });
    const state = { isBroken: false };
    receiver.on('message', ({ message, delivery }: any) => {
      if (state.isBroken) return;
      state.isBroken = take(message.body.content.toString()) === 'break';
      if (state.isBroken) client.socket.destroy();
      else delivery.accept();
    });
    await outcome(receiver, 'receiver_open');
    while (!place.isOver() && client.is_open() && !state.isBroken) await pause(20);
  });
}

/** A connection of a service; whatever breaks it ends the work, and is what a storm is about. */
export function withService(place: Place, work: (client: any) => Promise<void>): Promise<void> {
  const token = policyToken(place);
  return withAmqp(place, { username: `${token.keyName}@sas.root.localhost`, password: token.text }, work);
}

async function withAmqp(
  place: Place,
  user: { readonly username: string; readonly password: string },
  work: (client: any) => Promise<void>,
): Promise<void> {
  const client = rhea.create_container().connect({
    host: '127.0.0.1',
    servername: place.hub,
    hostname: place.hub,
    port: place.service().endpoints.ports.amqps,
    transport: 'tls',
    ca: place.ca(),
    ...user,
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

export interface CloudSender {
  /** Resolves when the hub took it; rejects with `refused`, or when the connection is gone. */
  send(to: string, id: string, text: string): Promise<void>;
}

export class RefusedMessage extends Error {}

/** A sender that may have several messages under way. */
export async function openCloudSender(client: any): Promise<CloudSender> {
  const sender = client.open_sender({ target: { address: '/messages/devicebound' } });
  const waiting = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>();
  const settle =
    (act: (waiter: { readonly resolve: () => void; readonly reject: (error: Error) => void }, why: string) => void) =>
    ({ delivery }: any): void => {
      const waiter = waiting.get(delivery.id);
      waiting.delete(delivery.id);
      if (waiter !== undefined) act(waiter, JSON.stringify(delivery.remote_state?.error ?? {}));
    };
  sender.on(
    'accepted',
    settle(({ resolve }) => resolve()),
  );
  for (const event of ['rejected', 'released', 'modified'])
    sender.on(
      event,
      settle(({ reject }, why) => reject(new RefusedMessage(`${event} ${why}`))),
    );
  client.on('disconnected', () => {
    for (const { reject } of waiting.values()) reject(new Error('connection lost'));
    waiting.clear();
  });
  await outcome(sender, 'sendable');
  return {
    send: (deviceId, id, text) => {
      if (!client.is_open()) return Promise.reject(new Error('connection lost'));
      const delivery = sender.send({
        to: `/devices/${deviceId}/messages/devicebound`,
        message_id: id,
        application_properties: { 'iothub-ack': 'full' },
        body: rhea.message.data_section(Buffer.from(text)),
      });
      return new Promise((resolve, reject) => waiting.set(delivery.id, { resolve, reject }));
    },
  };
}

/** Hands over each record of feedback; resolves when the connection is gone. */
export function followFeedback(
  place: Place,
  hear: (record: { readonly originalMessageId: string; readonly statusCode: string }) => void,
): Promise<void> {
  return withService(place, async (client) => {
    const receiver = client.open_receiver({ source: { address: '/messages/serviceBound/feedback' }, autoaccept: true });
    receiver.on('message', ({ message }: any) => {
      for (const record of JSON.parse(message.body.content.toString())) hear(record);
    });
    await outcome(receiver, 'receiver_open');
    while (!place.isOver() && client.is_open()) await pause(50);
  });
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

function dial({ hub, ca }: Place, port = 0): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername: hub, ca: ca() });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

const deviceToken = ({ hub }: Place, { id, key }: StormDevice): string =>
  createSasToken({ resource: `${hub}/devices/${id}`, base64Key: key, expiresAt: inAnHour() });

export function policyToken({ hub, service }: Place): { readonly keyName: string; readonly text: string } {
  const { sharedAccessKey: base64Key, sharedAccessKeyName: keyName } = parseConnectionString(
    service().endpoints.hubs[0]?.connectionString ?? '',
  );
  return { keyName, text: createSasToken({ resource: hub, base64Key, keyName, expiresAt: inAnHour() }) };
}

const inAnHour = () => plus(instant(Date.now()), hours(1));
export const pause = (span: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, span));
