import { identityPath, type IdentityPath } from '../../../contracts/hub/identity-path.ts';
import { parseAddress } from '../engine/address.ts';

/** What a device does over a link. */
export type DeviceEndpoint = 'events' | 'devicebound' | 'methods' | 'twin';

/** A node of the hub (chapters 4.3, 4.4 and 7). */
export type HubAddress =
  | { readonly kind: 'cbs' }
  | { readonly kind: 'device'; readonly path: IdentityPath; readonly endpoint: DeviceEndpoint; readonly host?: string }
  | { readonly kind: 'service'; readonly node: ServiceNode };

/** What a service does over a link; `other` is not served. */
export type ServiceNode = 'devicebound' | 'feedback' | 'file-notifications' | 'other';

const endpoints: Readonly<Record<string, DeviceEndpoint>> = {
  'messages/events': 'events',
  'messages/devicebound': 'devicebound',
  'methods/devicebound': 'methods',
  twin: 'twin',
};

/** Nodes that belong to services: `{first}` alone or with more behind it. */
const serviceRoots: ReadonlySet<string> = new Set(['messages', '$management', 'events']);

const serviceNodes: Readonly<Record<string, ServiceNode>> = {
  'messages/devicebound': 'devicebound',
  'messages/servicebound/feedback': 'feedback',
  'messages/servicebound/filenotifications': 'file-notifications',
  'messages/servicebound/fileuploadnotifications': 'file-notifications',
};

/** Reads a link address; `undefined` when the hub has nothing of the kind. Case counts in ids only. */
export function parseHubAddress(address: string): HubAddress | undefined {
  const { host, segments } = parseAddress(address);
  const [first = '', deviceId = '', ...below] = segments;
  const root = first.toLowerCase();
  if (root === '$cbs' && segments.length === 1) return { kind: 'cbs' };
  if (serviceRoots.has(root)) return { kind: 'service', node: readServiceNode(segments) };
  if (root !== 'devices' || deviceId === '') return undefined;
  const [, moduleId] = below;
  const isModule = below[0]?.toLowerCase() === 'modules' && moduleId !== undefined && moduleId !== '';
  const rest = (isModule ? below.slice(2) : below).join('/').toLowerCase();
  const endpoint = Object.hasOwn(endpoints, rest) ? endpoints[rest] : undefined;
  if (endpoint === undefined) return undefined;
  const path = identityPath({ deviceId, ...(isModule ? { moduleId } : {}) });
  return { kind: 'device', path, endpoint, ...(host === undefined ? {} : { host }) };
}

function readServiceNode(segments: readonly string[]): ServiceNode {
  const path = segments.join('/').toLowerCase();
  return (Object.hasOwn(serviceNodes, path) ? serviceNodes[path] : undefined) ?? 'other';
}
