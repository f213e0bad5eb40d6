import { parseTopicQuery } from '../engine/topic-query.ts';
import { parsePropertyBag, type PropertyBag } from './property-bag.ts';

/** What a device says by publishing (reference 3.3). */
export type HubRequest =
  | { readonly kind: 'telemetry'; readonly properties: PropertyBag }
  | { readonly kind: 'get-twin'; readonly rid: string }
  | { readonly kind: 'patch-reported'; readonly rid: string; readonly version: string | undefined }
  | { readonly kind: 'method-response'; readonly rid: string };

const getTwinPrefix = '$iothub/twin/GET/';
const patchPrefix = '$iothub/twin/PATCH/properties/reported/';
const methodResponse = /^\$iothub\/methods\/res\/-?\d+\/(\?.*)$/u;

/**
 * Reads the topic of a device's PUBLISH; `undefined` for one that it may not publish to. The id is compared as it is:
 * SDKs do not encode it, and it may contain `+`, `#` and `%`.
 */
export function parseHubTopic(topic: string, deviceId: string): HubRequest | undefined {
  const events = `devices/${deviceId}/messages/events`;
  if (topic === events) return { kind: 'telemetry', properties: parsePropertyBag('') };
  if (topic.startsWith(`${events}/`)) return { kind: 'telemetry', properties: parsePropertyBag(topic.slice(events.length + 1)) };
  if (topic.startsWith(getTwinPrefix)) {
    const query = parseTopicQuery(topic.slice(getTwinPrefix.length));
    return query && { kind: 'get-twin', rid: query.rid };
  }
  if (topic.startsWith(patchPrefix)) {
    const query = parseTopicQuery(topic.slice(patchPrefix.length));
    return query && { kind: 'patch-reported', rid: query.rid, version: query.values.get('$version') };
  }
  const query = parseTopicQuery(methodResponse.exec(topic)?.[1] ?? '');
  return query && { kind: 'method-response', rid: query.rid };
}

/** The filters a device may subscribe to. Nothing comes yet to the last two. */
export const hubFilters = (deviceId: string): readonly string[] => [
  '$iothub/twin/res/#',
  '$iothub/twin/PATCH/properties/desired/#',
  '$iothub/methods/POST/#',
  `devices/${deviceId}/messages/devicebound/#`,
];

/** C# demands the query, Node looks for `$rid` in it; `version` is the new one of the reported section. */
export function renderTwinTopic(answer: { readonly status: number; readonly rid: string; readonly version?: number }): string {
  return `$iothub/twin/res/${answer.status}/?$rid=${answer.rid}${answer.version === undefined ? '' : `&$version=${answer.version}`}`;
}

export const renderDesiredTopic = (version: number): string => `$iothub/twin/PATCH/properties/desired/?$version=${version}`;
