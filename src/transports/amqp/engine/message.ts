import { rhea, type Typed } from './rhea.ts';
import { type AmqpValue, messageId, type MessageId, plainMap, plainValue } from './values.ts';

export interface MessageProperties {
  readonly messageId?: MessageId;
  readonly userId?: Buffer;
  readonly to?: string;
  readonly replyTo?: string;
  readonly correlationId?: MessageId;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly absoluteExpiryTime?: Date;
  readonly creationTime?: Date;
}

export type MessageBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'data'; readonly sections: readonly Buffer[] }
  | { readonly kind: 'value'; readonly value: AmqpValue }
  | { readonly kind: 'sequence' };

/** A message as it arrived. */
export interface AmqpMessage {
  readonly properties: MessageProperties;
  readonly annotations: ReadonlyMap<string, AmqpValue>;
  readonly applicationProperties: ReadonlyMap<string, AmqpValue>;
  readonly body: MessageBody;
}

/** A message to send. Without a body its only section is an empty value; `Buffer.alloc(0)` gives an empty data section. */
export interface OutgoingMessage {
  readonly messageId?: MessageId;
  readonly userId?: Buffer;
  readonly correlationId?: MessageId;
  readonly to?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly absoluteExpiryTime?: Date;
  readonly annotations?: Readonly<Record<string, Typed | string>>;
  readonly applicationProperties?: Readonly<Record<string, Typed | string>>;
  readonly body?: Buffer;
}

/** Sections of AMQP 1.0 part 3.2, by numeric descriptor; a peer may write the symbolic one as well. */
const sections: Readonly<Record<string, SectionName>> = {
  '114': 'annotations',
  'amqp:message-annotations:map': 'annotations',
  '115': 'properties',
  'amqp:properties:list': 'properties',
  '116': 'applicationProperties',
  'amqp:application-properties:map': 'applicationProperties',
  '117': 'data',
  'amqp:data:binary': 'data',
  '118': 'sequence',
  'amqp:amqp-sequence:list': 'sequence',
  '119': 'value',
  'amqp:amqp-value:*': 'value',
};

type SectionName = 'annotations' | 'properties' | 'applicationProperties' | 'data' | 'sequence' | 'value';

/** Fields of the properties section, in order (part 3.2.4). */
const propertyFields: readonly [keyof MessageProperties | undefined, 'id' | 'binary' | 'text' | 'time'][] = [
  ['messageId', 'id'],
  ['userId', 'binary'],
  ['to', 'text'],
  [undefined, 'text'],
  ['replyTo', 'text'],
  ['correlationId', 'id'],
  ['contentType', 'text'],
  ['contentEncoding', 'text'],
  ['absoluteExpiryTime', 'time'],
  ['creationTime', 'time'],
];

/** Reads the sections of a message. Throws whatever rhea's reader throws on bytes that are no AMQP values, or `TypeError`. */
export function decodeMessage(bytes: Buffer): AmqpMessage {
  const reader = new rhea.types.Reader(bytes);
  let properties: MessageProperties = {};
  let annotations: AmqpMessage['annotations'] = new Map();
  let applicationProperties: AmqpMessage['applicationProperties'] = new Map();
  let body: MessageBody = { kind: 'none' };
  const data: Buffer[] = [];
  while (reader.remaining() > 0) {
    const section = reader.read();
    const name = sections[String(section.descriptor?.value)];
    if (name === 'properties') properties = readProperties(section);
    else if (name === 'annotations') annotations = plainMap(elements(section));
    else if (name === 'applicationProperties') applicationProperties = plainMap(elements(section));
    else if (name === 'data') data.push(readData(section));
    else if (name === 'sequence') body = { kind: 'sequence' };
    else if (name === 'value') body = { kind: 'value', value: plainValue(section) };
    // Header, delivery annotations and footer say nothing to this service.
  }
  if (data.length > 0) body = { kind: 'data', sections: data };
  return { properties, annotations, applicationProperties, body };
}

export function encodeMessage(message: OutgoingMessage): Buffer {
  return rhea.message.encode({
    message_id: message.messageId?.typed,
    user_id: message.userId,
    correlation_id: message.correlationId?.typed,
    to: message.to,
    content_type: message.contentType,
    content_encoding: message.contentEncoding,
    absolute_expiry_time: message.absoluteExpiryTime,
    message_annotations: message.annotations,
    application_properties: message.applicationProperties,
    body: message.body === undefined ? undefined : rhea.message.data_section(message.body),
  });
}

/** The bytes of a body: data sections joined, text as UTF-8; `undefined` for what has no bytes (sequences, maps, numbers). */
export function bodyBytes(body: MessageBody): Buffer | undefined {
  if (body.kind === 'none') return Buffer.alloc(0);
  if (body.kind === 'data') return body.sections.length === 1 ? body.sections[0] : Buffer.concat(body.sections);
  if (body.kind === 'sequence') return undefined;
  if (body.value === null) return Buffer.alloc(0);
  if (typeof body.value === 'string') return Buffer.from(body.value);
  return Buffer.isBuffer(body.value) ? body.value : undefined;
}

function readData(section: Typed): Buffer {
  if (!Buffer.isBuffer(section.value)) throw new TypeError('a data section holds binary');
  return section.value;
}

function readProperties(section: Typed): MessageProperties {
  const fields = elements(section);
  const properties: Record<string, unknown> = {};
  for (const [at, [name, kind]] of propertyFields.entries()) {
    const field = fields[at];
    if (name === undefined || field === undefined || field.value === null || field.value === undefined) continue;
    properties[name] = kind === 'id' ? messageId(field) : field.value;
    if (!isOfKind(field.value, kind)) throw new TypeError(`the property ${name} has the wrong type`);
  }
  return properties;
}

function isOfKind(value: unknown, kind: 'id' | 'binary' | 'text' | 'time'): boolean {
  if (kind === 'id') return typeof value === 'string' || typeof value === 'number' || Buffer.isBuffer(value);
  if (kind === 'binary') return Buffer.isBuffer(value);
  if (kind === 'time') return value instanceof Date && !Number.isNaN(value.getTime());
  return typeof value === 'string';
}

function elements(section: Typed): readonly Typed[] {
  if (!Array.isArray(section.value)) throw new TypeError('a section of this kind holds a list or a map');
  return section.value as readonly Typed[];
}
