import { type IdentityPath, idsOf, resourceOf } from '../../../contracts/hub/identity-path.ts';
import { parseTopicQuery } from '../engine/topic-query.ts';
import { parsePropertyBag, type PropertyBag, renderPropertyBag } from './property-bag.ts';

/** What a device says by publishing (reference 3.3). */
export type HubRequest =
  | { readonly kind: 'telemetry'; readonly properties: PropertyBag }
  | { readonly kind: 'get-twin'; readonly rid: string }
  | { readonly kind: 'patch-reported'; readonly rid: string; readonly version: string | undefined }
  | { readonly kind: 'method-response'; readonly rid: string; readonly status: number };

const getTwinPrefix = '$iothub/twin/GET/';
const patchPrefix = '$iothub/twin/PATCH/properties/reported/';
const methodResponse = /^\$iothub\/methods\/res\/(-?\d{1,10})\/(\?.*)$/u;

/**
 * Reads the topic of a device's PUBLISH; `undefined` for one that it may not publish to. The id is compared as it is:
 * SDKs do not encode it, and it may contain `+`, `#` and `%`.
 */
export function parseHubTopic(topic: string, path: IdentityPath): HubRequest | undefined {
  const events = `devices/${resourceOf(path)}/messages/events`;
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
  const [, status, answered = ''] = methodResponse.exec(topic) ?? [];
  const query = parseTopicQuery(answered);
  return query && { kind: 'method-response', rid: query.rid, status: Number(status) };
}

export const methodFilter = '$iothub/methods/POST/#';
/** Nothing but messages of other modules comes there, which needs routes of an edge hub; clients subscribe all the same. */
const moduleFilters = (resource: string): readonly string[] => [`devices/${resource}/inputs/#`, `devices/${resource}/#`];
export const deviceboundFilter = (path: IdentityPath): string => `devices/${resourceOf(path)}/messages/devicebound/#`;

/** The filters a device or module may subscribe to. */
export const hubFilters = (path: IdentityPath): readonly string[] => [
  '$iothub/twin/res/#',
  '$iothub/twin/PATCH/properties/desired/#',
  methodFilter,
  ...(idsOf(path).moduleId === undefined ? [deviceboundFilter(path)] : moduleFilters(resourceOf(path))),
];

/** C# demands the query, Node looks for `$rid` in it; `version` is the new one of the reported section. */
export function renderTwinTopic(answer: { readonly status: number; readonly rid: string; readonly version?: number }): string {
  return `$iothub/twin/res/${answer.status}/?$rid=${answer.rid}${answer.version === undefined ? '' : `&$version=${answer.version}`}`;
}

export const renderDesiredTopic = (version: number): string => `$iothub/twin/PATCH/properties/desired/?$version=${version}`;

/** The name is encoded, because it may contain anything; Python decodes it, and names in use look the same either way. */
export const renderMethodTopic = (name: string, rid: string): string => `$iothub/methods/POST/${encodeURIComponent(name)}/?$rid=${rid}`;

/** `$.to` is always there: C# reads the bag without asking whether there is one (reference 3.5). */
export function renderDeviceboundTopic(deviceId: string, message: PropertyBag): string {
  const to = `/devices/${deviceId}/messages/devicebound`;
  return `devices/${deviceId}/messages/devicebound/${renderPropertyBag({ ...message, systemProperties: { to, ...message.systemProperties } })}`;
}
