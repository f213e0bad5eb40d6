import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import type { LockedMessage } from '../../../hub/service.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { type AmqpMessage, bodyBytes, type OutgoingMessage } from '../engine/message.ts';
import { amqpTimestamp, amqpUbyte, amqpUlong, type AmqpValue, textId } from '../engine/values.ts';

/** Application properties and annotations that the hub counts among its system properties (hub chapter 4.5). */
const systemNames: ReadonlySet<string> = new Set([
  'iothub-ack',
  'iothub-operation',
  'iothub-message-schema',
  'iothub-creation-time-utc',
  'iothub-outputname',
  'iothub-interface-id',
  'dt-subject',
  'Diagnostic-Id',
  'Correlation-Context',
]);

/** Body and properties of a message as the hub stores them. Throws `ArgumentInvalid` for a body that has no bytes. */
export function readHubMessage(message: AmqpMessage): TelemetryMessage {
  const body = bodyBytes(message.body);
  if (body === undefined) throw new ServiceError('ArgumentInvalid', 'A message body is data, text or binary.');
  const system = new Map<string, string>(Object.entries(readProperties(message)));
  const application = new Map<string, string>();
  for (const [name, value] of message.applicationProperties) {
    const text = renderValue(value);
    if (text !== undefined) (systemNames.has(name) ? system : application).set(name, text);
  }
  for (const [name, value] of message.annotations) {
    const text = systemNames.has(name) ? renderValue(value) : undefined;
    if (text !== undefined) system.set(name, text);
  }
  // `fromEntries` makes own properties, so that a key `__proto__` is a name like any other.
  return { body, systemProperties: Object.fromEntries(system), applicationProperties: Object.fromEntries(application) };
}

function readProperties({ properties }: AmqpMessage): Readonly<Record<string, string>> {
  const named: readonly (readonly [string, string | undefined])[] = [
    ['message-id', properties.messageId?.text],
    ['correlation-id', properties.correlationId?.text],
    ['user-id', properties.userId?.toString('utf8')],
    ['to', properties.to],
    ['content-type', properties.contentType],
    ['content-encoding', properties.contentEncoding],
    ['absolute-expiry-time', properties.absoluteExpiryTime?.toISOString()],
  ];
  return Object.fromEntries(named.filter((entry): entry is readonly [string, string] => entry[1] !== undefined));
}

/** Properties are stored as text; a nested one has none. */
function renderValue(value: AmqpValue): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString('base64');
  return typeof value === 'object' ? undefined : String(value);
}

/** A stored message as its device gets it (hub chapter 4.6). */
export function renderCloudMessage(locked: LockedMessage, deviceId: string): OutgoingMessage {
  const { message } = locked;
  return {
    to: `/devices/${deviceId}/messages/devicebound`,
    ...renderProperties(message.systemProperties),
    annotations: {
      'x-opt-sequence-number': amqpUlong(locked.sequenceNumber),
      'iothub-enqueuedtime': amqpTimestamp(locked.enqueuedAt),
      'iothub-deliverycount': amqpUbyte(locked.deliveryCount),
      'x-opt-lock-token': locked.lockToken,
    },
    applicationProperties: { ...message.applicationProperties, ...renderSystemNames(message.systemProperties) },
    body: Buffer.from(message.body),
  };
}

/** A batch of feedback as services get it (hub chapter 7.2). */
export function renderFeedbackMessage(locked: LockedMessage): OutgoingMessage {
  return {
    ...renderProperties(locked.message.systemProperties),
    annotations: { 'iothub-enqueuedtime': amqpTimestamp(locked.enqueuedAt) },
    body: Buffer.from(locked.message.body),
  };
}

function renderProperties(system: Readonly<Record<string, string>>): Partial<OutgoingMessage> {
  const text = (name: string): string | undefined => (Object.hasOwn(system, name) ? system[name] : undefined);
  const [messageId, correlationId, userId, to] = ['message-id', 'correlation-id', 'user-id', 'to'].map(text);
  const [contentType, contentEncoding, expiry] = ['content-type', 'content-encoding', 'absolute-expiry-time'].map(text);
  return {
    ...(messageId !== undefined && { messageId: textId(messageId) }),
    ...(correlationId !== undefined && { correlationId: textId(correlationId) }),
    ...(userId !== undefined && { userId: Buffer.from(userId) }),
    ...(to !== undefined && { to }),
    ...(contentType !== undefined && { contentType }),
    ...(contentEncoding !== undefined && { contentEncoding }),
    ...(expiry !== undefined && { absoluteExpiryTime: new Date(expiry) }),
  };
}

/** System properties that AMQP carries as application properties. */
function renderSystemNames(system: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(system).filter(([name]) => systemNames.has(name)));
}
