import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import type { InboundMessage } from '../engine/binding.ts';
import type { PropertyBag } from './property-bag.ts';

/** A PUBLISH as a hub message. Nothing is retained, but the wish is passed on (reference 3.2). */
export function renderTelemetry(
  { payload, retain }: InboundMessage,
  { systemProperties, applicationProperties }: PropertyBag,
): TelemetryMessage {
  return {
    body: payload,
    systemProperties,
    applicationProperties: retain ? { ...applicationProperties, 'mqtt-retain': 'true' } : applicationProperties,
  };
}
