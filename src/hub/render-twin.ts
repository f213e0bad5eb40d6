import type { DeviceTwin, Twin } from '../contracts/hub/device.ts';
import { idsOf } from '../contracts/hub/identity-path.ts';
import type { JsonObject } from '../kernel/json.ts';
import { renderDeviceEtag, renderTwinEtag } from './etag.ts';
import type { DeviceRow, TwinRow, TwinSection } from './ports.ts';
import { type DeviceState, renderMoment } from './presence.ts';
import { renderScopes, renderThumbprints } from './render-identity.ts';

/** The twin as services see it, members in the order of the real service (chapter 1.4). */
export function renderTwin(device: DeviceRow, twin: TwinRow, state: DeviceState): Twin {
  return {
    ...idsOf(device.deviceId),
    etag: renderTwinEtag(twin.etagCounter),
    deviceEtag: renderDeviceEtag(device.etagCounter),
    status: device.status,
    ...(device.statusReason === undefined ? {} : { statusReason: device.statusReason }),
    statusUpdateTime: inUtc(renderMoment(device.statusUpdatedAt)),
    connectionState: state.connectionState,
    lastActivityTime: inUtc(state.lastActivityTime),
    cloudToDeviceMessageCount: state.cloudToDeviceMessageCount,
    authenticationType: device.authentication.type,
    x509Thumbprint: renderThumbprints(device),
    ...(twin.modelId === undefined ? {} : { modelId: twin.modelId }),
    version: twin.version,
    tags: twin.tags,
    properties: { desired: renderSection(twin.desired), reported: renderSection(twin.reported) },
    capabilities: { iotEdge: device.iotEdge },
    ...renderScopes(device),
  };
}

/** The twin as its device sees it (chapter 3.6). */
export function renderDeviceTwin(twin: TwinRow): DeviceTwin {
  return {
    desired: withVersion(twin.desired.properties, twin.desired.version),
    reported: withVersion(twin.reported.properties, twin.reported.version),
  };
}

/** Properties with the `$version` that a device compares. */
export function withVersion(properties: JsonObject, version: number): JsonObject {
  return { ...properties, $version: version };
}

function renderSection(section: TwinSection): JsonObject {
  return { ...section.properties, $metadata: section.metadata, $version: section.version };
}

// Twins always show a zone, identities show none for "never" (chapters 1.2 and 1.4).
const inUtc = (moment: string): string => (moment.endsWith('Z') ? moment : `${moment}Z`);
