import type { DeviceBody } from '../contracts/hub/device-body.ts';
import { identityPath } from '../contracts/hub/identity-path.ts';
import { readAuthentication } from './device-authentication.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type Incarnation, insertIdentity, newDevice } from './new-device.ts';
import type { DeviceRow, DeviceStore, HubTransaction } from './ports.ts';

/** What every edge device runs (chapter 1.3). */
const edgeModules = ['$edgeAgent', '$edgeHub'] as const;

/** Deeper than any hierarchy that Azure takes; more is a circle. */
const levels = 10;

/** Gives an edge device its modules, as far as it does not have them. */
export async function insertEdgeModules(incarnation: Incarnation, transaction: HubTransaction, device: DeviceRow): Promise<void> {
  if (!device.iotEdge) return;
  const { hub, deviceId, status } = device;
  for (const moduleId of edgeModules) {
    const path = identityPath({ deviceId, moduleId });
    if ((await transaction.devices.get(hub, path)) !== undefined) continue;
    const authentication = readAuthentication(undefined, undefined, incarnation.ids);
    const module = { hub, deviceId: path, status, authentication, iotEdge: false, managedBy: 'IotEdge' };
    await insertIdentity(transaction, newDevice(module, incarnation));
  }
}

/**
 * The scopes of a device after a write. An edge device has one of its own; one below it names that as its parent, and a leaf
 * device takes it over, whichever of the two fields the client fills. Throws `InvalidDeviceScope`.
 */
export async function withScopes(
  devices: Pick<DeviceStore, 'byScope'>,
  device: DeviceRow,
  wanted: Pick<DeviceBody, 'deviceScope' | 'parentScopes'>,
): Promise<DeviceRow> {
  const { deviceScope: _own, parentScope: _parent, ...rest } = device;
  const own = device.iotEdge ? ownScope(device) : undefined;
  const asked = wanted.parentScopes?.[0] ?? (device.iotEdge ? undefined : wanted.deviceScope);
  const parent = asked ? asked : undefined;
  if (parent !== undefined) await requireParent(devices, device, parent);
  const scope = own ?? parent;
  return { ...rest, ...(scope === undefined ? {} : { deviceScope: scope }), ...(parent === undefined ? {} : { parentScope: parent }) };
}

const ownScope = ({ deviceId, generationId }: DeviceRow): string => `ms-azure-iot-edge://${deviceId}-${generationId}`;

async function requireParent(devices: Pick<DeviceStore, 'byScope'>, device: DeviceRow, scope: string): Promise<void> {
  let above = await devices.byScope(device.hub, scope);
  if (above === undefined) {
    throw new ServiceError('InvalidDeviceScope', `No edge device has the scope '${scope}'. Take the deviceScope of the parent.`);
  }
  for (let level = 0; above !== undefined; level += 1) {
    if (above.deviceId === device.deviceId || level > levels) {
      throw new ServiceError('InvalidDeviceScope', `The device '${device.deviceId}' would be above itself.`);
    }
    above = above.parentScope === undefined ? undefined : await devices.byScope(device.hub, above.parentScope);
  }
}
