import { deviceBody, type DeviceBody, deviceIdPattern } from '../contracts/hub/device-body.ts';
import type { DeviceIdentity } from '../contracts/hub/device.ts';
import type { Json } from '../kernel/json.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type CutDeps, type CutEnd, cutAfterCommit, holdingKeys } from './cut.ts';
import { readAuthentication, sameAuthentication } from './device-authentication.ts';
import { insertEdgeModules, withScopes } from './edge.ts';
import { requireDeviceEtag } from './etag.ts';
import { requireDevice, requireHub } from './lookup.ts';
import { type Incarnation, insertIdentity, newDevice } from './new-device.ts';
import type { CutReason, DeviceRow, HubStorage, HubTransaction } from './ports.ts';
import { statesOf } from './presence.ts';
import { readBody } from './read-body.ts';
import { renderIdentity } from './render-identity.ts';
import type { DeviceRegistry } from './service.ts';

type IdentityDeps = CutDeps & Incarnation & { readonly storage: HubStorage };

/** A write to one identity, checked. */
interface IdentityChange {
  readonly hub: string;
  readonly deviceId: string;
  readonly body: DeviceBody;
  readonly precondition: Precondition;
}

/** The identity registry (chapters 1.2, 6.1 and 6.5). */
export function createIdentities(deps: IdentityDeps): DeviceRegistry {
  const { storage, bus } = deps;
  const renderAll = async (hub: string, devices: readonly DeviceRow[]): Promise<readonly DeviceIdentity[]> => {
    const stateOf = await statesOf({ bus, read: storage.read }, hub, devices);
    return devices.map((device) => renderIdentity(device, stateOf(device)));
  };
  const render = async (device: DeviceRow): Promise<DeviceIdentity> => {
    const stateOf = await statesOf({ bus, read: storage.read }, device.hub, [device]);
    return renderIdentity(device, stateOf(device));
  };
  return {
    async get(hub, deviceId) {
      const { name } = await requireHub(storage.read.hubs, hub);
      return render(await requireDevice(storage.read, name, deviceId));
    },

    async list(hub, page) {
      const { name } = await requireHub(storage.read.hubs, hub);
      const { items, ...rest } = await storage.read.devices.list(name, page);
      return { items: await renderAll(name, items), ...rest };
    },

    async put(hub, deviceId, { body, precondition }) {
      const parsed = readIdentityBody(deviceId, body);
      const { device, cutEnded } = await storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        const change = { hub: name, deviceId, body: parsed, precondition };
        return precondition.kind === 'absent' ? create(deps, transaction, change) : update(deps, transaction, change);
      });
      await cutEnded?.();
      return render(device);
    },

    async delete(hub, deviceId, precondition) {
      const cutEnded = await storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        const device = await requireDevice(transaction, name, deviceId);
        requireDeviceEtag(device, precondition);
        await transaction.devices.delete(name, deviceId, device.etagCounter);
        return cutAfterCommit(deps, transaction, { hub: name, deviceId, reason: 'device-deleted' });
      });
      await cutEnded();
    },

    async connected(hub) {
      const { name } = await requireHub(storage.read.hubs, hub);
      return { connectedDeviceCount: bus.connectedDevices(name) };
    },

    async statistics(hub) {
      const { name } = await requireHub(storage.read.hubs, hub);
      return countDevices(storage, name);
    },
  };
}

/** What a write leaves: the identity, and how to wait for the sessions that it ended. */
interface Written {
  readonly device: DeviceRow;
  readonly cutEnded?: CutEnd;
}

async function create(deps: IdentityDeps, transaction: HubTransaction, { hub, deviceId, body }: IdentityChange): Promise<Written> {
  if ((await transaction.devices.get(hub, deviceId)) !== undefined) {
    throw new ServiceError('DeviceAlreadyExists', `A device with ID '${deviceId}' is already registered.`);
  }
  const created = newDevice(
    {
      hub,
      deviceId,
      status: body.status ?? 'enabled',
      ...reasonOf(body),
      authentication: readAuthentication(body.authentication, undefined, deps.ids),
      iotEdge: body.capabilities?.iotEdge ?? false,
    },
    deps,
  );
  const device = await withScopes(transaction.devices, created, body);
  await insertIdentity(transaction, device);
  await insertEdgeModules(deps, transaction, device);
  return { device };
}

async function update(deps: IdentityDeps, transaction: HubTransaction, change: IdentityChange): Promise<Written> {
  const current = await requireDevice(transaction, change.hub, change.deviceId);
  requireDeviceEtag(current, change.precondition);
  const device = await withScopes(transaction.devices, updated(deps, current, change.body), change.body);
  await transaction.devices.replace(device, current.etagCounter);
  await insertEdgeModules(deps, transaction, device);
  const reason = reasonToCut(current, device);
  if (reason === undefined) return { device };
  const { hub, deviceId } = device;
  const except = reason === 'credential-changed' ? { except: await holdingKeys(transaction, device) } : {};
  return { device, cutEnded: cutAfterCommit(deps, transaction, { hub, deviceId, reason, ...except }) };
}

function updated({ clock, ids }: IdentityDeps, current: DeviceRow, body: DeviceBody): DeviceRow {
  const { statusReason: _replaced, ...kept } = current;
  // An absent status must not let a disabled device back in.
  const status = body.status ?? current.status;
  return {
    ...kept,
    ...reasonOf(body),
    status,
    ...(status === current.status ? {} : { statusUpdatedAt: clock.now() }),
    authentication: readAuthentication(body.authentication, current.authentication, ids),
    iotEdge: body.capabilities?.iotEdge ?? current.iotEdge,
    etagCounter: current.etagCounter + 1,
  };
}

function reasonToCut(before: DeviceRow, after: DeviceRow): CutReason | undefined {
  if (after.status === 'disabled' && before.status === 'enabled') return 'device-disabled';
  if (!sameAuthentication(before.authentication, after.authentication)) return 'credential-changed';
  return undefined;
}

function readIdentityBody(deviceId: string, body: Json): DeviceBody {
  if (!deviceIdPattern.test(deviceId)) {
    throw new ServiceError(
      'ArgumentInvalid',
      "The device id must have 1 to 128 letters, digits or characters of - : . + % _ # * ? ! ( ) , = @ ; $ '.",
    );
  }
  const parsed = readBody(deviceBody, body);
  if (parsed.deviceId !== undefined && parsed.deviceId !== null && parsed.deviceId !== deviceId) {
    throw new ServiceError('ArgumentInvalid', 'The field deviceId of the request body differs from the id in the path.');
  }
  return parsed;
}

/** SDKs leave a reason out when it is null, so absent clears it (chapter 6.5: the body replaces it). */
function reasonOf(body: DeviceBody): { readonly statusReason?: string } {
  return body.statusReason ? { statusReason: body.statusReason } : {};
}

async function countDevices(storage: HubStorage, hub: string): ReturnType<DeviceRegistry['statistics']> {
  let after: string | undefined;
  let total = 0;
  let enabled = 0;
  do {
    const page = await storage.read.devices.list(hub, { limit: 1000, ...(after === undefined ? {} : { after }) });
    total += page.items.length;
    enabled += page.items.filter(({ status }) => status === 'enabled').length;
    after = page.next;
  } while (after !== undefined);
  return { totalDeviceCount: total, enabledDeviceCount: enabled, disabledDeviceCount: total - enabled };
}
