import type { Duplex } from 'node:stream';

import { MqttClient } from 'mqtt';

import { failure } from '../exit-code.ts';
import { Refusal } from './door.ts';
import { deferred, inTime } from './waiting.ts';

/** A response on a topic `…/res/{status}/?$rid=…`. */
export interface MqttResponse {
  readonly status: number;
  readonly query: URLSearchParams;
  readonly body: string;
}

/** An MQTT 3.1.1 session whose requests are answered by topic, as the provisioning service and the hub do. */
export interface MqttSession {
  subscribe(topic: string): Promise<void>;
  /** Resolves when the other side acknowledged. */
  publish(topic: string, body: string | Uint8Array): Promise<void>;
  request(topic: (requestId: string) => string, body: string): Promise<MqttResponse>;
  onMessage(prefix: string, listener: (body: string, topic: string) => void): void;
  readonly dropped: Promise<string>;
  close(): Promise<void>;
}

// CONNACK return codes (MQTT 3.1.1, 3.2.2.3).
const refusals: Readonly<Record<number, string>> = {
  1: 'unacceptable protocol version',
  2: 'identifier rejected',
  3: 'server unavailable',
  4: 'bad user name or password',
  5: 'not authorized',
};

/** Says CONNECT on a stream. Throws `Refusal` when the CONNACK does. */
export async function openMqttSession(
  stream: Duplex,
  { password, ...identity }: { readonly clientId: string; readonly username: string; readonly password: string | undefined },
): Promise<MqttSession> {
  const client = new MqttClient(() => stream, {
    ...identity,
    ...(password === undefined ? {} : { password }),
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    reconnectPeriod: 0,
    connectTimeout: 30_000,
  });
  await inTime(connected(client, stream), 'The answer to CONNECT');
  const waiting = new Map<string, (response: MqttResponse) => void>();
  const listeners: { readonly prefix: string; readonly listener: (body: string, topic: string) => void }[] = [];
  client.on('message', (topic, payload) => {
    const response = parseResponse(topic, payload.toString('utf8'));
    if (response === undefined)
      for (const { prefix, listener } of listeners) if (topic.startsWith(prefix)) listener(payload.toString('utf8'), topic);
    if (response !== undefined) waiting.get(response.query.get('$rid') ?? '')?.(response);
  });
  let requests = 0;
  return {
    subscribe: async (topic) => void (await client.subscribeAsync(topic, { qos: 1 })),
    publish: async (topic, body) =>
      void (await client.publishAsync(topic, typeof body === 'string' ? body : Buffer.from(body), { qos: 1 })),
    request: async (topic, body) => {
      requests += 1;
      const id = String(requests);
      const answer = deferred<MqttResponse>();
      waiting.set(id, answer.resolve);
      await client.publishAsync(topic(id), body, { qos: 1 });
      return answer.promise.finally(() => waiting.delete(id));
    },
    onMessage: (prefix, listener) => void listeners.push({ prefix, listener }),
    dropped: droppedOf(client),
    // With nobody at the other end, messages that were not acknowledged would be waited for in vain.
    close: () => client.endAsync(!client.connected),
  };
}

function connected(client: MqttClient, stream: Duplex): Promise<void> {
  const { promise, resolve, reject } = deferred<void>();
  client.once('connect', () => resolve());
  client.on('error', (error) => {
    const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
    reject(
      code === undefined
        ? failure(`The MQTT session failed: ${error.message}.`)
        : new Refusal(`CONNACK ${code} ${refusals[code] ?? ''}`.trim()),
    );
  });
  client.once('close', () => reject(new Refusal('the connection was closed without an answer to CONNECT')));
  stream.once('error', (error: Error) => reject(failure(`The connection failed: ${error.message}.`)));
  return promise;
}

/** MQTT 3.1.1 has no word for why a server hangs up, so the reason is that it did, and how. */
function droppedOf(client: MqttClient): Promise<string> {
  const { promise, resolve } = deferred<string>();
  client.once('close', () => {
    if (!client.disconnecting) resolve('the connection was closed by the service');
  });
  return promise;
}

function parseResponse(topic: string, body: string): MqttResponse | undefined {
  const match = /\/res\/(\d{3})\/\?(.*)$/u.exec(topic);
  if (match === null) return undefined;
  return { status: Number(match[1]), query: new URLSearchParams(match[2]), body };
}
