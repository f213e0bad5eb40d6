import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { InboundMessage } from '../engine/binding.ts';
import { renderTelemetry } from './telemetry.ts';
import { parseHubTopic } from './topics.ts';

/** A will is a telemetry message that says so. Throws `ArgumentInvalid` for a will to any other topic. */
export function readWillMessage(will: InboundMessage, deviceId: string): TelemetryMessage {
  const request = parseHubTopic(will.topic, deviceId);
  if (request?.kind !== 'telemetry') throw new ServiceError('ArgumentInvalid', "A will goes to the device's own events topic.");
  const message = renderTelemetry(will, request.properties);
  return { ...message, applicationProperties: { ...message.applicationProperties, 'iothub-MessageType': 'Will' } };
}
