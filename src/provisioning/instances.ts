import { provisioningRights } from '../contracts/dps/rights.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import { bareHost } from '../contracts/host-name.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { checkIpFilterRules } from './ip-filter.ts';
import { freshKey, ownerPolicyName } from './policy-keys.ts';
import type { InstanceStore, ProvisioningInstance, ProvisioningStorage } from './ports.ts';
import { expectedEtag } from './precondition-etag.ts';
import type { Quotas } from './quotas.ts';
import { quoteEtag } from './render-registration.ts';
import type { InstanceDescription, Instances, LinkedHub } from './service.ts';

interface InstanceDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly quotas: Quotas;
}

/** Chapter 5.2 of the wire reference, which wants three characters; shorter ones do no harm. */
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/iu;

/** Provisioning service instances, their policies and their links to hubs. */
export function createInstances(deps: InstanceDependencies): Instances {
  const { storage } = deps;
  const { instances } = storage.read;

  /** One change of an instance or its links, with its new entity tag, in one transaction. */
  function change(
    name: string,
    precondition: Precondition = { kind: 'absent' },
    work: (instance: ProvisioningInstance, stores: InstanceStore) => Promise<ProvisioningInstance> | ProvisioningInstance,
  ): Promise<InstanceDescription> {
    return storage.write(async (transaction) => {
      const current = await requireInstance(transaction.instances, name);
      const next = await work(current, transaction.instances);
      return describe(transaction.instances, await changeInstance(transaction.instances, next, { etag: deps.ids.etag(), precondition }));
    });
  }

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

    update: (name, { allocationPolicy, ipFilterRules, precondition }) => {
      if (ipFilterRules !== undefined) checkIpFilterRules(ipFilterRules);
      return change(name, precondition, (instance) => ({
        ...instance,
        ...(allocationPolicy === undefined ? {} : { allocationPolicy }),
        ...(ipFilterRules === undefined ? {} : { ipFilterRules }),
      }));
    },

    linkHub: (name, hub, precondition) =>
      change(name, precondition, async (instance, stores) => {
        await link(stores, instance, { hub, quotas: deps.quotas });
        return instance;
      }),

    unlinkHub: (name, hostName, precondition) =>
      change(name, precondition, async (instance, stores) => {
        await stores.deleteLinkedHub(instance.name, hostName);
        return instance;
      }),
  };
}

/** The instance of that name. Throws `ResourceNotFound`. */
export async function requireInstance(instances: InstanceStore, name: string): Promise<ProvisioningInstance> {
  const instance = await instances.get(name);
  if (instance === undefined) throw new ServiceError('ResourceNotFound', `There is no provisioning service named '${name}'.`);
  return instance;
}

/** Writes an instance under a new entity tag. Throws `DpsPreconditionFailed`. */
export async function changeInstance(
  instances: InstanceStore,
  instance: ProvisioningInstance,
  { etag, precondition }: { readonly etag: string; readonly precondition: Precondition },
): Promise<ProvisioningInstance> {
  const next = { ...instance, etag };
  await instances.update(next, expectedEtag(precondition));
  return next;
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
  const instance: ProvisioningInstance = {
    name,
    hostName,
    idScope,
    allocationPolicy: 'hashed',
    createdAt: clock.now(),
    etag: ids.etag(),
    ipFilterRules: [],
  };
  await instances.insert(instance);
  // The one policy that a new service has in Azure, with every right (chapter 4.6).
  await instances.putPolicy(name, {
    keyName: ownerPolicyName,
    primaryKey: freshKey(ids),
    secondaryKey: freshKey(ids),
    rights: provisioningRights,
  });
  return instance;
}

/** `0ne` and eight hex digits (chapter 2.1). */
function freshIdScope(ids: Ids, taken: ReadonlySet<string>): string {
  for (;;) {
    const idScope = `0ne${Buffer.from(ids.bytes(4)).toString('hex').toUpperCase()}`;
    if (!taken.has(idScope)) return idScope;
  }
}

async function link(
  instances: InstanceStore,
  { name }: ProvisioningInstance,
  { hub, quotas }: { readonly hub: LinkedHub; readonly quotas: Quotas },
): Promise<void> {
  const { hostName, location, applyAllocationPolicy, allocationWeight } = hub;
  if (hostName === '') throw new ServiceError('DpsBadRequest', 'hostName is missing: give the host name of the IoT hub.');
  if (!Number.isInteger(allocationWeight) || allocationWeight < 1 || allocationWeight > 1000) {
    throw new ServiceError('DpsBadRequest', 'allocationWeight is not valid: use a whole number from 1 to 1000.');
  }
  const linked = await instances.linkedHubs(name);
  const isNew = linked.every((other) => other.hostName.toLowerCase() !== hostName.toLowerCase());
  if (isNew) await quotas.take('linkedHubs', name, () => Promise.resolve(linked.length));
  await instances.putLinkedHub({ instance: name, hostName, location, applyAllocationPolicy, allocationWeight });
}

async function describe(
  instances: InstanceStore,
  { name, hostName, idScope, allocationPolicy, etag, ipFilterRules }: ProvisioningInstance,
): Promise<InstanceDescription> {
  const iotHubs = (await instances.linkedHubs(name)).map((hub) => ({
    hostName: hub.hostName,
    location: hub.location,
    applyAllocationPolicy: hub.applyAllocationPolicy,
    allocationWeight: hub.allocationWeight,
  }));
  return { name, hostName, idScope, allocationPolicy, iotHubs, etag: quoteEtag(etag), ipFilterRules };
}
