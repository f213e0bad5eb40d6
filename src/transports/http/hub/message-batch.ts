import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { limits } from '../../../contracts/limits.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { readMessageProperties } from './message-headers.ts';

export const batchContentType = 'application/vnd.microsoft.iothub.json';

/** Base64 makes three bytes four, and names and braces take room: the JSON text of a full batch is at most this long. */
export const batchTextBytes = limits.telemetryBytes * 2;

/** Reads the batch body of iot-hub.md 5.2; the messages together may have 256 KB. */
export function parseMessageBatch(body: Json | undefined): readonly TelemetryMessage[] {
  if (!Array.isArray(body) || body.length === 0) {
    throw new ServiceError('ArgumentInvalid', 'A batch is a JSON array with at least one message.');
  }
  const messages = (body as readonly Json[]).map((item, at) => readMessage(item, `Message ${String(at)} of the batch`));
  const total = messages.reduce((sum, message) => sum + sizeOf(message), 0);
  if (total > limits.telemetryBytes) {
    throw new ServiceError('MessageTooLarge', `The batch holds more than ${String(limits.telemetryBytes)} bytes.`);
  }
  return messages;
}

function readMessage(item: Json, where: string): TelemetryMessage {
  if (!isJsonObject(item) || typeof item['body'] !== 'string') {
    throw new ServiceError('ArgumentInvalid', `${where} has no body, or one that is no string.`);
  }
  const body = item['base64Encoded'] === false ? Buffer.from(item['body'], 'utf8') : decodeBase64(item['body'], where);
  const properties = item['properties'] ?? {};
  if (!isJsonObject(properties)) throw new ServiceError('ArgumentInvalid', `${where} has properties that are no object.`);
  return { body, ...readMessageProperties(readLines(properties, where), 'application') };
}

function readLines(properties: JsonObject, where: string): (readonly [string, string])[] {
  return Object.entries(properties).map(([name, value]) => {
    if (typeof value === 'object' && value !== null) {
      throw new ServiceError('ArgumentInvalid', `${where} has a property ${name} that is neither text nor number.`);
    }
    return [name, value === null ? '' : String(value)] as const;
  });
}

function decodeBase64(text: string, where: string): Buffer {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/u.test(text)) {
    throw new ServiceError('ArgumentInvalid', `${where} has a body that is not base64.`);
  }
  return Buffer.from(text, 'base64');
}

function sizeOf(message: TelemetryMessage): number {
  const properties = [...Object.entries(message.systemProperties), ...Object.entries(message.applicationProperties)];
  return properties.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), message.body.length);
}
