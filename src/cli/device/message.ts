import type { Message } from 'rhea';

import type { JsonObject } from '../../kernel/json.ts';

/** A device-to-cloud message. Properties are named as on MQTT: `$.mid`, `$.ct`, … are the system's, all others the application's. */
export interface DeviceMessage {
  readonly body: string | Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
}

/** What a device usually sends. */
export function jsonMessage(id: string, body: JsonObject): DeviceMessage {
  return { body: JSON.stringify(body), properties: { '$.mid': id, '$.ct': 'application/json', '$.ce': 'utf-8' } };
}

/** System properties (hub reference 3.4), the headers that carry them over HTTPS (5.1), and rhea's names for them, where AMQP has any. */
const systemProperties = {
  '$.mid': { header: 'iothub-messageid', amqp: 'message_id' },
  '$.cid': { header: 'iothub-correlationid', amqp: 'correlation_id' },
  '$.uid': { header: 'iothub-userid', amqp: 'user_id' },
  '$.exp': { header: 'iothub-expiry', amqp: 'absolute_expiry_time' },
  '$.ct': { header: 'iothub-contenttype', amqp: 'content_type' },
  '$.ce': { header: 'iothub-contentencoding', amqp: 'content_encoding' },
} as const;

export type SystemProperty = keyof typeof systemProperties;
export const systemPropertyNames = Object.keys(systemProperties) as readonly SystemProperty[];
export const applicationHeader = 'iothub-app-';

export const isSystemProperty = (name: string): name is SystemProperty => Object.hasOwn(systemProperties, name);

/** The system property that a header carries; az has two of them without their prefix. */
export function systemPropertyOfHeader(name: string): SystemProperty | undefined {
  const lower = name.toLowerCase();
  if (lower === 'content-type') return '$.ct';
  if (lower === 'content-encoding') return '$.ce';
  return systemPropertyNames.find((property) => systemProperties[property].header === lower);
}

export function renderHeaders({ properties }: DeviceMessage): Readonly<Record<string, string>> {
  const headers = Object.entries(properties).map(([name, value]) => [
    isSystemProperty(name) ? systemProperties[name].header : `${applicationHeader}${name}`,
    value,
  ]);
  return Object.fromEntries(headers) as Readonly<Record<string, string>>;
}

/** The last part of the topic (hub reference 3.4). */
export function renderBag({ properties }: DeviceMessage): string {
  return Object.entries(properties)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
}

/** Reads the last part of a topic; unlike in a query, a plus is a plus. */
export function parseBag(bag: string): Readonly<Record<string, string>> {
  const pairs = bag.split('&').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', value = ''] = pair.split('=', 2);
      return [decoded(name), decoded(value)];
    }),
  );
}

/** What is not percent-encoded as it should be stays as it came. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** All but the body. */
export function renderAmqp({ properties }: DeviceMessage): Omit<Message, 'body'> {
  const fields: Record<string, unknown> = {};
  const application: Record<string, string> = {};
  for (const [name, value] of Object.entries(properties)) {
    if (isSystemProperty(name)) fields[systemProperties[name].amqp] = amqpValue(name, value);
    else application[name] = value;
  }
  return { ...fields, application_properties: application };
}

/** Two fields are no text (AMQP 1.0, 3.2.4). */
function amqpValue(name: SystemProperty, value: string): unknown {
  if (name === '$.uid') return Buffer.from(value);
  return name === '$.exp' ? new Date(value) : value;
}
