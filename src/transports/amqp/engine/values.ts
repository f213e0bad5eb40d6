import { rhea, type Typed } from './rhea.ts';

/** A value as a peer sent it, without its wire type: uuids and integers beyond 2^53 as text, timestamps as dates. */
export type AmqpValue = null | boolean | number | string | Buffer | Date | readonly AmqpValue[] | ReadonlyMap<string, AmqpValue>;

/** A message-id or correlation-id. It goes back in the very type it came in: clients compare types (clients chapter 5). */
export interface MessageId {
  readonly text: string;
  readonly typed: Typed;
}

/** Signed 32 bit: what clients cast `status` and `status-code` to. rhea would write a plain number as uint. */
export const amqpInt = (value: number): Typed => rhea.types.wrap_int(value);

/** Signed 64 bit, `version`. */
export const amqpLong = (value: number): Typed => rhea.types.wrap_long(value);

/** Unsigned 64 bit, `x-opt-sequence-number`. */
export const amqpUlong = (value: number): Typed => rhea.types.wrap_ulong(value);

/** Unsigned 8 bit, `iothub-deliverycount`. */
export const amqpUbyte = (value: number): Typed => rhea.types.wrap_ubyte(value);

export const amqpTimestamp = (epochMilliseconds: number): Typed => rhea.types.wrap_timestamp(epochMilliseconds);

/** An id of text, as most peers write them. */
export const textId = (text: string): MessageId => ({ text, typed: rhea.types.wrap_string(text) });

/** An id of type uuid; `guid` in its usual form. */
export const uuidId = (guid: string): MessageId => ({ text: guid, typed: rhea.types.wrap_uuid(guidBytes(guid)) });

/** The 16 bytes of a GUID in the order in which they are written. */
export const guidBytes = (guid: string): Buffer => Buffer.from(guid.replaceAll('-', ''), 'hex');

/** Strips the wire type. */
export function plainValue({ type, value }: Typed): AmqpValue {
  switch (type.name) {
    case 'Uuid':
      return renderUuid(value as Buffer);
    // Beyond 2^53 rhea hands out the eight bytes.
    case 'Ulong':
      return Buffer.isBuffer(value) ? value.readBigUInt64BE().toString() : (value as number);
    case 'Long':
      return Buffer.isBuffer(value) ? value.readBigInt64BE().toString() : (value as number);
    case 'List0':
    case 'List8':
    case 'List32':
    case 'Array8':
    case 'Array32':
      return (value as readonly Typed[]).map(plainValue);
    case 'Map8':
    case 'Map32':
      return plainMap(value as readonly Typed[]);
    default:
      return value as AmqpValue;
  }
}

/** A map with its keys as text; keys of other types than string and symbol are left out. */
export function plainMap(elements: readonly Typed[]): ReadonlyMap<string, AmqpValue> {
  const entries = new Map<string, AmqpValue>();
  for (let at = 0; at + 1 < elements.length; at += 2) {
    const [key, value] = [elements[at], elements[at + 1]];
    if (typeof key?.value === 'string' && value !== undefined) entries.set(key.value, plainValue(value));
  }
  return entries;
}

export function messageId(typed: Typed): MessageId {
  const value = plainValue(typed);
  if (Buffer.isBuffer(value)) return { typed, text: value.toString('base64') };
  if (typeof value === 'string' || typeof value === 'number') return { typed, text: String(value) };
  throw new TypeError('an id is text, binary, a uuid or a ulong');
}

function renderUuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, '$1-$2-$3-$4-$5');
}
