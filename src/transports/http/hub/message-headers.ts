import type { TelemetryMessage } from '../../../contracts/hub/device.ts';

/** Headers of iot-hub.md 5.1 and the AMQP names that they are stored under (3.4). */
const systemPropertyByHeader: Readonly<Record<string, string>> = {
  'iothub-to': 'to',
  'iothub-messageid': 'message-id',
  'iothub-correlationid': 'correlation-id',
  'iothub-userid': 'user-id',
  'iothub-expiry': 'absolute-expiry-time',
  'iothub-ack': 'iothub-ack',
  'iothub-contenttype': 'content-type',
  'iothub-contentencoding': 'content-encoding',
  'iothub-messageschema': 'iothub-message-schema',
  'iothub-creationtimeutc': 'iothub-creation-time-utc',
  'iothub-operation': 'iothub-operation',
  'iothub-interface-id': 'iothub-interface-id',
  'dt-subject': 'dt-subject',
};
const applicationPrefix = 'iothub-app-';

/** Sorts names and values into system and application properties; names of the latter keep the case they came in. */
export function readMessageProperties(
  lines: readonly (readonly [name: string, value: string])[],
  /** Whether names without a prefix are application properties (batch items) or none of ours (HTTP headers). */
  unprefixed: 'application' | 'ignored',
): Pick<TelemetryMessage, 'systemProperties' | 'applicationProperties'> {
  const system = new Map<string, string>();
  const application = new Map<string, string>();
  for (const [name, value] of lines) {
    const lower = name.toLowerCase();
    const property = Object.hasOwn(systemPropertyByHeader, lower) ? systemPropertyByHeader[lower] : undefined;
    if (property !== undefined) system.set(property, value);
    else if (lower.startsWith(applicationPrefix)) application.set(name.slice(applicationPrefix.length), value);
    else if (unprefixed === 'application') application.set(name, value);
  }
  return { systemProperties: Object.fromEntries(system), applicationProperties: Object.fromEntries(application) };
}
