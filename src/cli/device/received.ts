import type { JsonObject } from '../../kernel/json.ts';
import type { HttpAnswer } from '../client/http.ts';
import { applicationHeader } from './message.ts';

/** A message that was received over HTTPS, with its properties as az prints them. */
export interface ReceivedMessage {
  readonly etag: string;
  readonly properties: JsonObject;
  /** Absent when the message has no body. */
  readonly data?: string;
}

/** System properties in the order and spelling of az. */
const systemHeaders = [
  'iothub-messageid',
  'iothub-correlationid',
  'iothub-sequencenumber',
  'iothub-to',
  'iothub-userid',
  'iothub-ack',
  'iothub-expiry',
  'iothub-deliverycount',
  'iothub-enqueuedtime',
  'ContentType',
  'ContentEncoding',
];

/** The message in an answer; `undefined` when none waits. */
export function parseReceived({ status, headers, body }: HttpAnswer): ReceivedMessage | undefined {
  if (status === 204) return undefined;
  const textOf = (name: string): string => {
    const value = headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : (value ?? '');
  };
  const names = Object.keys(headers).filter((name) => name.startsWith(applicationHeader));
  const app = Object.fromEntries(names.map((name) => [name.slice(applicationHeader.length), textOf(name)]));
  const system = Object.fromEntries(
    systemHeaders.filter((name) => headers[name.toLowerCase()] !== undefined).map((name) => [name, textOf(name)]),
  );
  return {
    etag: textOf('etag').replaceAll('"', ''),
    properties: { ...(names.length === 0 ? {} : { app }), system },
    ...(body === '' ? {} : { data: body }),
  };
}
