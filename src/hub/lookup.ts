import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { DeviceRow, HubInstance, HubInstanceStore, HubTransaction, TwinRow } from './ports.ts';

/** The stores that finding something needs; both a transaction and committed state have them. */
type Stores = Pick<HubTransaction, 'hubs' | 'devices' | 'twins'>;

/** Throws `IotHubNotFound`. The row's own name is the one to use from here on: callers may use another case. */
export async function requireHub(hubs: HubInstanceStore, name: string): Promise<HubInstance> {
  const hub = await hubs.get(name);
  if (hub === undefined) throw new ServiceError('IotHubNotFound', `There is no IoT hub '${name}' here.`);
  return hub;
}

/** A device, and not one of its modules. Throws `DeviceNotFound`. */
export async function requireDevice(stores: Pick<Stores, 'devices'>, hub: string, deviceId: string): Promise<DeviceRow> {
  const device = idsOf(deviceId).moduleId === undefined ? await stores.devices.get(hub, deviceId) : undefined;
  if (device === undefined) throw deviceNotFound(hub, deviceId);
  return device;
}

/** A device or a module. Throws `DeviceNotFound` or `ModuleNotFound`. */
export async function requireIdentity(stores: Pick<Stores, 'devices'>, hub: string, path: IdentityPath): Promise<DeviceRow> {
  const identity = await stores.devices.get(hub, path);
  if (identity !== undefined) return identity;
  const { deviceId, moduleId } = idsOf(path);
  if (moduleId === undefined) throw deviceNotFound(hub, deviceId);
  await requireDevice(stores, hub, deviceId);
  throw new ServiceError('ModuleNotFound', `The device '${deviceId}' at IotHub '${hub}' has no module '${moduleId}'.`);
}

/** Identity and twin belong together: one transaction writes both. Throws `DeviceNotFound`. */
export async function requireTwin(stores: Pick<Stores, 'twins'>, hub: string, deviceId: string): Promise<TwinRow> {
  const twin = await stores.twins.get(hub, deviceId);
  if (twin === undefined) throw deviceNotFound(hub, deviceId);
  return twin;
}

export function deviceNotFound(hub: string, deviceId: string): ServiceError {
  return new ServiceError('DeviceNotFound', `IotHub '${hub}' does not contain the specified device '${deviceId}'.`);
}
