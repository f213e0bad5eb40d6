import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpDelivery } from '../engine/binding.ts';
import { type AmqpMessage, decodeMessage } from '../engine/message.ts';
import { readHubMessage } from './hub-message.ts';

/** Data sections that hold one encoded message each (hub chapter 4.5). */
const batchFormat = 0x80013700;

/** The messages of one delivery, in order. Throws `ArgumentInvalid` for what has no bytes to store. */
export function readTelemetry({ format, message }: AmqpDelivery): readonly TelemetryMessage[] {
  if (format === 0) return [readHubMessage(message)];
  if (format !== batchFormat) throw new ServiceError('ArgumentInvalid', `Messages of the format ${format} are not understood.`);
  if (message.body.kind !== 'data') throw new ServiceError('ArgumentInvalid', 'A batch holds data sections.');
  return message.body.sections.map((section) => readHubMessage(decodeInner(section)));
}

function decodeInner(section: Buffer): AmqpMessage {
  try {
    return decodeMessage(section);
  } catch (error) {
    throw new ServiceError('ArgumentInvalid', 'A message of this batch is not well-formed AMQP.', { detail: String(error) });
  }
}
