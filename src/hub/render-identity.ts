import type { DeviceIdentity, ModuleIdentity } from '../contracts/hub/device.ts';
import { idsOf } from '../contracts/hub/identity-path.ts';
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
    ...renderScopes(device),
  };
}

export function renderModule(module: DeviceRow, state: DeviceState): ModuleIdentity {
  const {
    status: _status,
    statusReason: _reason,
    statusUpdatedTime: _at,
    capabilities: _none,
    ...identity
  } = renderIdentity(module, state);
  const { deviceId, moduleId = '' } = idsOf(module.deviceId);
  return { moduleId, managedBy: module.managedBy ?? null, ...identity, deviceId };
}

/** Left out where there is no edge device (chapter 1.2). */
export function renderScopes({ deviceScope, parentScope }: DeviceRow): Pick<DeviceIdentity, 'deviceScope' | 'parentScopes'> {
  return {
    ...(deviceScope === undefined ? {} : { deviceScope }),
    ...(parentScope === undefined ? {} : { parentScopes: [parentScope] }),
  };
}

export function renderThumbprints({ authentication }: DeviceRow): DeviceIdentity['authentication']['x509Thumbprint'] {
  return {
    primaryThumbprint: authentication.primaryThumbprint ?? null,
    secondaryThumbprint: authentication.secondaryThumbprint ?? null,
  };
}
