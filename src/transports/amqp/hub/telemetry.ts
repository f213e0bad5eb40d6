import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpDelivery } from '../engine/binding.ts';
import { type AmqpMessage, bodyBytes, decodeMessage } from '../engine/message.ts';
import type { AmqpValue } from '../engine/values.ts';

/** Data sections that hold one encoded message each (hub chapter 4.5). */
const batchFormat = 0x80013700;

/** Application properties and annotations that the hub counts among its system properties (hub chapter 4.5). */
const systemNames: ReadonlySet<string> = new Set([
  'iothub-ack',
  'iothub-message-schema',
  'iothub-creation-time-utc',
  'iothub-outputname',
  'iothub-interface-id',
  'dt-subject',
  'Diagnostic-Id',
  'Correlation-Context',
]);

/** The messages of one delivery, in order. Throws `ArgumentInvalid` for what has no bytes to store. */
export function readTelemetry({ format, message }: AmqpDelivery): readonly TelemetryMessage[] {
  if (format === 0) return [renderTelemetry(message)];
  if (format !== batchFormat) throw new ServiceError('ArgumentInvalid', `Messages of the format ${format} are not understood.`);
  if (message.body.kind !== 'data') throw new ServiceError('ArgumentInvalid', 'A batch holds data sections.');
  return message.body.sections.map((section) => renderTelemetry(decodeInner(section)));
}

function decodeInner(section: Buffer): AmqpMessage {
  try {
    return decodeMessage(section);
  } catch (error) {
    throw new ServiceError('ArgumentInvalid', 'A message of this batch is not well-formed AMQP.', { detail: String(error) });
  }
}

function renderTelemetry(message: AmqpMessage): TelemetryMessage {
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
