import { deviceIdPattern, moduleBody, type ModuleBody } from '../contracts/hub/device-body.ts';
import type { ModuleIdentity } from '../contracts/hub/device.ts';
import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';
import { limits } from '../contracts/limits.ts';
import type { Json } from '../kernel/json.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type CutDeps, type CutEnd, cutAfterCommit, holdingKeys } from './cut.ts';
import { readAuthentication, sameAuthentication } from './device-authentication.ts';
import { requireDeviceEtag } from './etag.ts';
import { requireDevice, requireHub, requireIdentity } from './lookup.ts';
import { type Incarnation, insertIdentity, newDevice } from './new-device.ts';
import type { DeviceRow, HubStorage, HubTransaction } from './ports.ts';
import { statesOf } from './presence.ts';
import { readBody } from './read-body.ts';
import { renderModule } from './render-identity.ts';
import type { ModuleRegistry } from './service.ts';

type ModuleDeps = CutDeps & Incarnation & { readonly storage: HubStorage };

interface ModuleChange {
  readonly hub: string;
  readonly path: IdentityPath;
  readonly body: ModuleBody;
  readonly precondition: Precondition;
}

/** Modules of devices (chapters 1.3 and 6.5). They come and go with their device, and have its status. */
export function createModules(deps: ModuleDeps): ModuleRegistry {
  const { storage, bus } = deps;
  const renderAll = async (hub: string, modules: readonly DeviceRow[]): Promise<readonly ModuleIdentity[]> => {
    const stateOf = await statesOf({ bus, read: storage.read }, hub, modules);
    return modules.map((module) => renderModule(module, stateOf(module)));
  };
  const render = async (module: DeviceRow): Promise<ModuleIdentity> => {
    const stateOf = await statesOf({ bus, read: storage.read }, module.hub, [module]);
    return renderModule(module, stateOf(module));
  };
  return {
    async get(hub, path) {
      const { name } = await requireHub(storage.read.hubs, hub);
      return render(await requireIdentity(storage.read, name, path));
    },

    async list(hub, deviceId) {
      const { name } = await requireHub(storage.read.hubs, hub);
      await requireDevice(storage.read, name, deviceId);
      return renderAll(name, await storage.read.devices.modulesOf(name, deviceId));
    },

    async put(hub, path, { body, precondition }) {
      const parsed = readModuleBody(path, body);
      const { module, cutEnded } = await storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        const change = { hub: name, path, body: parsed, precondition };
        return precondition.kind === 'absent' ? create(deps, transaction, change) : update(deps, transaction, change);
      });
      await cutEnded?.();
      return render(module);
    },

    async delete(hub, path, precondition) {
      const cutEnded = await storage.write(async (transaction) => {
        const { name } = await requireHub(transaction.hubs, hub);
        const module = await requireIdentity(transaction, name, path);
        requireDeviceEtag(module, precondition);
        await transaction.devices.delete(name, path, module.etagCounter);
        return cutAfterCommit(deps, transaction, { hub: name, deviceId: path, reason: 'device-deleted' });
      });
      await cutEnded();
    },
  };
}

interface Written {
  readonly module: DeviceRow;
  readonly cutEnded?: CutEnd;
}

async function create(deps: ModuleDeps, transaction: HubTransaction, { hub, path, body }: ModuleChange): Promise<Written> {
  const { deviceId, moduleId } = idsOf(path);
  const { status } = await requireDevice(transaction, hub, deviceId);
  const present = await transaction.devices.modulesOf(hub, deviceId);
  if (present.some((module) => module.deviceId === path)) {
    throw new ServiceError('ModuleAlreadyExistsOnDevice', `The device '${deviceId}' has a module '${moduleId ?? ''}' already.`);
  }
  if (present.length >= limits.modulesOfDevice) {
    throw new ServiceError('TooManyModulesOnDevice', `A device has at most ${limits.modulesOfDevice} modules.`);
  }
  const authentication = readAuthentication(body.authentication, undefined, deps.ids);
  const module = newDevice({ hub, deviceId: path, status, authentication, iotEdge: false, ...managerOf(body) }, deps);
  await insertIdentity(transaction, module);
  return { module };
}

async function update(deps: ModuleDeps, transaction: HubTransaction, { hub, path, body, precondition }: ModuleChange): Promise<Written> {
  const current = await requireIdentity(transaction, hub, path);
  requireDeviceEtag(current, precondition);
  const { managedBy: _replaced, ...kept } = current;
  const authentication = readAuthentication(body.authentication, current.authentication, deps.ids);
  const module = { ...kept, ...managerOf(body), authentication, etagCounter: current.etagCounter + 1 };
  await transaction.devices.replace(module, current.etagCounter);
  if (sameAuthentication(current.authentication, authentication)) return { module };
  const except = await holdingKeys(transaction, module);
  return { module, cutEnded: cutAfterCommit(deps, transaction, { hub, deviceId: path, reason: 'credential-changed', except }) };
}

const managerOf = ({ managedBy }: ModuleBody): { readonly managedBy?: string } => (managedBy ? { managedBy } : {});

function readModuleBody(path: IdentityPath, body: Json): ModuleBody {
  const { deviceId, moduleId = '' } = idsOf(path);
  if (!deviceIdPattern.test(moduleId)) {
    throw new ServiceError(
      'ArgumentInvalid',
      "The module id must have 1 to 128 letters, digits or characters of - : . + % _ # * ? ! ( ) , = @ ; $ '.",
    );
  }
  const parsed = readBody(moduleBody, body);
  const names = { deviceId, moduleId };
  for (const field of ['deviceId', 'moduleId'] as const) {
    const given = parsed[field];
    if (given === undefined || given === null || given === names[field]) continue;
    throw new ServiceError('ArgumentInvalid', `The field ${field} of the request body differs from the id in the path.`);
  }
  return parsed;
}
