import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { bareHost } from '../contracts/host-name.ts';
import { limits } from '../contracts/limits.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { AccessPolicyRow, InstanceStore, ProvisioningInstance, ProvisioningStorage } from './ports.ts';
import { type InstanceDescription, type Instances, type LinkedHub, provisioningRights } from './service.ts';

interface InstanceDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** Chapter 5.2 of the wire reference, which wants three characters; shorter ones do no harm. */
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/iu;

/** Provisioning service instances, their policies and their links to hubs. */
export function createInstances(deps: InstanceDependencies): Instances {
  const { storage } = deps;
  const { instances } = storage.read;
  return {
    list: async () => Promise.all((await instances.list()).map((instance) => describe(instances, instance))),
    get: async (name) => describe(instances, await requireInstance(instances, name)),

    async byHost(host) {
      const all = await instances.list();
      const found = all.find(({ hostName }) => bareHost(hostName) === bareHost(host)) ?? (all.length === 1 ? all[0] : undefined);
      return found === undefined ? undefined : describe(instances, found);
    },

    create: (input) =>
      storage.write(async (transaction) => describe(transaction.instances, await create(deps, transaction.instances, input))),

    async policies(name) {
      return (await instances.policies((await requireInstance(instances, name)).name)).map(
        ({ keyName, primaryKey, secondaryKey, rights }) => ({ keyName, primaryKey, secondaryKey, rights }),
      );
    },

    linkHub: (name, hub) =>
      storage.write(async (transaction) => {
        const instance = await requireInstance(transaction.instances, name);
        await link(transaction.instances, instance, hub);
        return describe(transaction.instances, instance);
      }),

    unlinkHub: (name, hostName) =>
      storage.write(async (transaction) => {
        const instance = await requireInstance(transaction.instances, name);
        await transaction.instances.deleteLinkedHub(instance.name, hostName);
        return describe(transaction.instances, instance);
      }),
  };
}

/** The instance of that name. Throws `ResourceNotFound`. */
export async function requireInstance(instances: InstanceStore, name: string): Promise<ProvisioningInstance> {
  const instance = await instances.get(name);
  if (instance === undefined) throw new ServiceError('ResourceNotFound', `There is no provisioning service named '${name}'.`);
  return instance;
}

async function create(
  { clock, ids }: InstanceDependencies,
  instances: InstanceStore,
  { name, hostName }: { readonly name: string; readonly hostName: string },
): Promise<ProvisioningInstance> {
  if (!namePattern.test(name)) {
    throw new ServiceError(
      'DpsBadRequest',
      'name is not valid: a provisioning service takes 1 to 64 letters, digits and hyphens, with no hyphen at either end.',
    );
  }
  const all = await instances.list();
  const taken = all.find((other) => other.name.toLowerCase() === name.toLowerCase() || bareHost(other.hostName) === bareHost(hostName));
  if (taken !== undefined) {
    if (taken.name.toLowerCase() === name.toLowerCase() && bareHost(taken.hostName) === bareHost(hostName)) return taken;
    throw new ServiceError(
      'ResourceExists',
      `The provisioning service '${taken.name}' with host name ${taken.hostName} exists already. Choose another name and host name.`,
    );
  }
  const idScope = freshIdScope(ids, new Set(all.map((other) => other.idScope)));
  const instance: ProvisioningInstance = { name, hostName, idScope, allocationPolicy: 'hashed', createdAt: clock.now() };
  await instances.insert(instance);
  await instances.putPolicy(name, ownerPolicy(ids));
  return instance;
}

/** `0ne` and eight hex digits (chapter 2.1). */
function freshIdScope(ids: Ids, taken: ReadonlySet<string>): string {
  for (;;) {
    const idScope = `0ne${Buffer.from(ids.bytes(4)).toString('hex').toUpperCase()}`;
    if (!taken.has(idScope)) return idScope;
  }
}

/** The one policy that a new service has in Azure, with every right (chapter 4.6). */
function ownerPolicy(ids: Ids): AccessPolicyRow {
  const key = (): string => Buffer.from(ids.bytes(32)).toString('base64');
  return { keyName: 'provisioningserviceowner', primaryKey: key(), secondaryKey: key(), rights: provisioningRights };
}

async function link(instances: InstanceStore, { name }: ProvisioningInstance, hub: LinkedHub): Promise<void> {
  const { hostName, location, applyAllocationPolicy, allocationWeight } = hub;
  if (hostName === '') throw new ServiceError('DpsBadRequest', 'hostName is missing: give the host name of the IoT hub.');
  if (!Number.isInteger(allocationWeight) || allocationWeight < 1 || allocationWeight > 1000) {
    throw new ServiceError('DpsBadRequest', 'allocationWeight is not valid: use a whole number from 1 to 1000.');
  }
  const linked = await instances.linkedHubs(name);
  const isNew = linked.every((other) => other.hostName.toLowerCase() !== hostName.toLowerCase());
  if (isNew && linked.length >= limits.linkedHubs) {
    throw new ServiceError('DpsQuotaExceeded', `There are ${limits.linkedHubs} linked IoT hubs already. Unlink one first.`);
  }
  await instances.putLinkedHub({ instance: name, hostName, location, applyAllocationPolicy, allocationWeight });
}

async function describe(
  instances: InstanceStore,
  { name, hostName, idScope, allocationPolicy }: ProvisioningInstance,
): Promise<InstanceDescription> {
  const iotHubs = (await instances.linkedHubs(name)).map((hub) => ({
    hostName: hub.hostName,
    location: hub.location,
    applyAllocationPolicy: hub.applyAllocationPolicy,
    allocationWeight: hub.allocationWeight,
  }));
  return { name, hostName, idScope, allocationPolicy, iotHubs };
}
