import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import type { CloudToDeviceMessage } from '../../../contracts/hub/message.ts';

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

/** Headers of a message that the hub sends; names in lower case. az looks for two of them under other names as well. */
export function renderMessageHeaders({ systemProperties, applicationProperties }: CloudToDeviceMessage): Readonly<Record<string, string>> {
  const system = Object.entries(systemPropertyByHeader).flatMap(([header, property]) =>
    Object.hasOwn(systemProperties, property) ? [[header, renderValue(systemProperties[property] ?? '')] as const] : [],
  );
  const application = Object.entries(applicationProperties).map(
    ([name, value]) => [`${applicationPrefix}${renderName(name)}`, renderValue(value)] as const,
  );
  const { 'content-type': contentType, 'content-encoding': contentEncoding } = systemProperties;
  return {
    ...Object.fromEntries([...application, ...system]),
    ...(contentType !== undefined && { contenttype: renderValue(contentType) }),
    ...(contentEncoding !== undefined && { contentencoding: renderValue(contentEncoding) }),
  };
}

/** A header's name is a token of RFC 9110 section 5.6.2, which leaves out two letters that the encoding leaves in. */
function renderName(name: string): string {
  return encodeURIComponent(name).replaceAll('(', '%28').replaceAll(')', '%29');
}

/** A header holds printable ASCII; whatever has more is percent-encoded. */
function renderValue(value: string): string {
  return /^[\x20-\x7e]*$/u.test(value) ? value : encodeURIComponent(value);
}

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
