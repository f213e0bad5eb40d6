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

/** Throws `DeviceNotFound`. */
export async function requireDevice(stores: Pick<Stores, 'devices'>, hub: string, deviceId: string): Promise<DeviceRow> {
  const device = await stores.devices.get(hub, deviceId);
  if (device === undefined) throw deviceNotFound(hub, deviceId);
  return device;
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
