import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { failure } from '../../exit-code.ts';
import { jsonText } from '../../json-text.ts';

/** One event of the monitor. */
export interface MonitoredMessage {
  readonly sequenceNumber: number;
  readonly deviceId: string;
  /** Milliseconds since the epoch. */
  readonly enqueuedAt: number;
  readonly source: string;
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly applicationProperties: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Reads one event of Muster's API; its time may be a number or ISO text. */
export function parseMonitored(data: string): MonitoredMessage {
  const value = JSON.parse(data) as Json;
  if (!isJsonObject(value)) throw failure('The service sent an event that is not an object. Is it another version of muster?');
  const { enqueuedAt } = value;
  return {
    sequenceNumber: Number(value['sequenceNumber']),
    deviceId: jsonText(value['deviceId']),
    enqueuedAt: typeof enqueuedAt === 'string' ? Date.parse(enqueuedAt) : Number(enqueuedAt),
    source: jsonText(value['source']),
    systemProperties: texts(value['systemProperties']),
    applicationProperties: texts(value['applicationProperties']),
    body: Buffer.from(jsonText(value['body']), 'base64'),
  };
}

export interface EventOptions {
  readonly properties: readonly ('all' | 'anno' | 'app' | 'sys')[];
  readonly contentType: string | undefined;
}

/** The event in the shape that az prints. */
export function renderEvent(message: MonitoredMessage, { properties, contentType }: EventOptions): JsonObject {
  const { systemProperties } = message;
  const wants = (name: EventOptions['properties'][number]): boolean => properties.includes(name) || properties.includes('all');
  const shown = {
    ...(wants('sys') ? { system: underscored(systemProperties) } : {}),
    ...(wants('app') ? { application: message.applicationProperties } : {}),
  };
  return {
    event: {
      origin: message.deviceId,
      module: '',
      interface: systemProperties['dt-dataschema'] ?? '',
      component: systemProperties['dt-subject'] ?? '',
      ...(properties.length > 0 ? { properties: shown } : {}),
      ...(wants('anno') ? { annotations: annotationsOf(message) } : {}),
      payload: payloadOf(message.body, contentType ?? systemProperties['content-type'] ?? ''),
    },
  };
}

/** A pattern with `*` and `?` as an expression that a whole device id must match. */
export function wildcard(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su');
}

function annotationsOf(message: MonitoredMessage): JsonObject {
  return {
    'iothub-connection-device-id': message.deviceId,
    'iothub-enqueuedtime': message.enqueuedAt,
    'iothub-message-source': message.source,
    'x-opt-sequence-number': message.sequenceNumber,
    'x-opt-offset': String(message.sequenceNumber),
    'x-opt-enqueued-time': message.enqueuedAt,
  };
}

function payloadOf(body: Buffer, contentType: string): Json {
  const text = body.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(body)) return '{{non-decodable payload}}';
  if (!contentType.toLowerCase().includes('application/json')) return text;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function underscored(properties: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name.replaceAll('-', '_'), value]));
}

function texts(value: Json | undefined): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, jsonText(member)]));
}
