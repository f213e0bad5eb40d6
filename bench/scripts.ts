import { createRequire } from 'node:module';

import { generate, type Packet } from 'mqtt-packet';

import { serverName } from './material.ts';

/** One exchange of a connection: what is sent, and the answer that makes it a success. */
export interface Step {
  readonly bytes: Buffer;
  /** An HTTP status, an MQTT packet type or an AMQP performative. */
  readonly expect: number;
  /** Where the number of a message stands, for a step that is repeated. */
  readonly patch?: { readonly offset: number; readonly width: 2 | 4 };
}

const noPatch = 0xffff_ffff;

/** The form that `load.c` reads. */
export function renderScript(steps: readonly Step[]): Buffer {
  return Buffer.concat(
    steps.flatMap(({ bytes, expect, patch }) => {
      const head = Buffer.alloc(16);
      [bytes.length, expect, patch?.offset ?? noPatch, patch?.width ?? 0].forEach((value, index) => head.writeUInt32BE(value, 4 * index));
      return [head, bytes];
    }),
  );
}

/** What the load client replaces with the operation id of the answer before. */
export const operationMark = '@OPERATION@';

export function http(
  method: string,
  path: string,
  {
    expect = 200,
    body,
    headers = {},
  }: { readonly expect?: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Step {
  const text = body === undefined ? '' : JSON.stringify(body);
  const all = {
    Host: serverName,
    ...headers,
    ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return { bytes: Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`), expect };
}

/** A server that greets with a byte. */
export const greeting: Step = { bytes: Buffer.alloc(0), expect: 0 };

const payload = Buffer.alloc(128, 'x');
const connack = 2;
const puback = 4;

export function mqttConnect(id: string): Step {
  const username = `${serverName}/${id}/?api-version=2021-04-12`;
  return {
    bytes: packet({ cmd: 'connect', clientId: id, username, keepalive: 300, clean: true, protocolId: 'MQTT', protocolVersion: 4 }),
    expect: connack,
  };
}

export function mqttPublish(id: string): Step {
  const topic = `devices/${id}/messages/events/`;
  const bytes = packet({ cmd: 'publish', topic, payload, qos: 1, messageId: 1, dup: false, retain: false });
  return { bytes, expect: puback, patch: { offset: bytes.length - payload.length - 2, width: 2 } };
}

const packet = (value: Packet): Buffer => generate(value);

const require = createRequire(import.meta.url);
const frames = require('rhea/lib/frames.js');
const terminus = require('rhea/lib/terminus.js');
const message = require('rhea/lib/message.js');
const types = require('rhea/lib/types.js');
const flow = 0x13;
const disposition = 0x15;

/** Everything up to the credit of a link to the telemetry address, without a SASL layer, as the C# client does it. */
export function amqpAttach(id: string): Step {
  const target = terminus.target({ address: `/devices/${id}/messages/events` }).described();
  const source = terminus.source({ address: id }).described();
  return {
    bytes: Buffer.concat([
      Buffer.from('AMQP\0\x01\0\0', 'latin1'),
      amqpFrame(frames.open({ container_id: id, hostname: serverName, max_frame_size: 65_536, idle_time_out: 240_000 })),
      amqpFrame(frames.begin({ next_outgoing_id: 0, incoming_window: 5000, outgoing_window: 5000 })),
      amqpFrame(frames.attach({ name: `events-${id}`, handle: 0, role: false, source, target, initial_delivery_count: 0 })),
    ]),
    expect: flow,
  };
}

/** One unsettled message; its delivery id has four bytes whatever its value, so that it can be patched. */
export function amqpTransfer(): Step {
  const fields = [
    types.wrap_uint(0),
    types.wrap_uint(patched),
    types.wrap_binary(Buffer.alloc(4)),
    types.wrap_uint(0),
    types.wrap_boolean(false),
  ];
  const performative = types.described(types.wrap_ulong(0x14), types.List8(fields));
  const bytes = amqpFrame(performative, message.encode({ body: message.data_section(payload) }));
  const marker = Buffer.alloc(4);
  marker.writeUInt32BE(patched);
  return { bytes, expect: disposition, patch: { offset: bytes.indexOf(marker), width: 4 } };
}

const patched = 0x7f7f_7f7f;

function amqpFrame(performative: unknown, body?: Buffer): Buffer {
  return frames.write_frame(frames.amqp_frame(0, performative, body)) as Buffer;
}
