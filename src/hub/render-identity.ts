import type { DeviceIdentity } from '../contracts/hub/device.ts';
import { renderDeviceEtag } from './etag.ts';
import type { DeviceRow } from './ports.ts';
import { type DeviceState, renderMoment } from './presence.ts';

/** The identity as REST shows it, members in the order of the real service (chapter 1.2). */
export function renderIdentity(device: DeviceRow, state: DeviceState): DeviceIdentity {
  const { authentication } = device;
  return {
    deviceId: device.deviceId,
    generationId: device.generationId,
    etag: renderDeviceEtag(device.etagCounter),
    connectionState: state.connectionState,
    status: device.status,
    statusReason: device.statusReason ?? null,
    connectionStateUpdatedTime: state.connectionStateUpdatedTime,
    statusUpdatedTime: renderMoment(device.statusUpdatedAt),
    lastActivityTime: state.lastActivityTime,
    cloudToDeviceMessageCount: state.cloudToDeviceMessageCount,
    authentication: {
      symmetricKey: { primaryKey: authentication.primaryKey ?? null, secondaryKey: authentication.secondaryKey ?? null },
      x509Thumbprint: renderThumbprints(device),
      type: authentication.type,
    },
    capabilities: { iotEdge: device.iotEdge },
  };
}

export function renderThumbprints({ authentication }: DeviceRow): DeviceIdentity['authentication']['x509Thumbprint'] {
  return {
    primaryThumbprint: authentication.primaryThumbprint ?? null,
    secondaryThumbprint: authentication.secondaryThumbprint ?? null,
  };
}
