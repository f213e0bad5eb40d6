import { bareHost } from '../contracts/host-name.ts';
import type { Ids } from '../kernel/ids.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type CutDeps, cutCoveredAfterCommit } from './cut.ts';
import { hubOfHost } from './host-names.ts';
import { requireHub } from './lookup.ts';
import type { HubInstance, HubPolicyRow, HubStorage, HubTransaction } from './ports.ts';
import type { HubDescription, HubRight, Hubs } from './service.ts';
import { busKeys, stampsOfPolicy } from './stamps.ts';

/** The policies that a new hub has (chapter 2.1). */
const defaultPolicies: readonly { readonly keyName: string; readonly rights: readonly HubRight[] }[] = [
  { keyName: 'iothubowner', rights: ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'] },
  { keyName: 'service', rights: ['ServiceConnect'] },
  { keyName: 'device', rights: ['DeviceConnect'] },
  { keyName: 'registryRead', rights: ['RegistryRead'] },
  { keyName: 'registryReadWrite', rights: ['RegistryRead', 'RegistryWrite'] },
];

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?$/u;
const hostPattern = /^[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?$/u;

interface HubsDeps extends CutDeps {
  readonly storage: HubStorage;
  readonly ids: Ids;
}

/** The hubs of this service and their policies. */
export function createHubs(deps: HubsDeps): Hubs {
  const { storage } = deps;
  return {
    async list() {
      return (await storage.read.hubs.list()).map(describe);
    },

    async get(name) {
      return describe(await requireHub(storage.read.hubs, name));
    },

    async byHost(host) {
      const found = hubOfHost(await storage.read.hubs.list(), host);
      return found === undefined ? undefined : describe(found);
    },

    async create({ name, hostName }) {
      const host = bareHost(hostName);
      requireWellFormed(name, host);
      return describe(await storage.write((transaction) => createOnce(deps, transaction, { name, hostName: host })));
    },

    async policies(name) {
      const hub = await requireHub(storage.read.hubs, name);
      return storage.read.hubs.policies(hub.name);
    },

    async renewPolicyKey(name, keyName, which) {
      const { policy, ended } = await storage.write(async (transaction) => {
        const hub = await requireHub(transaction.hubs, name);
        const policies = await transaction.hubs.policies(hub.name);
        const current = policies.find((candidate) => candidate.keyName.toLowerCase() === keyName.toLowerCase());
        if (current === undefined) throw new ServiceError('ResourceNotFound', `There is no shared access policy '${keyName}'.`);
        const renewed = withRenewedKey(current, which, deps.ids);
        await transaction.hubs.putPolicy(hub.name, renewed);
        const kept = stampsOfPolicy(hub.name, renewed);
        const keys = busKeys(stampsOfPolicy(hub.name, current).filter((stamp) => !kept.includes(stamp)));
        return { policy: renewed, ended: cutCoveredAfterCommit(deps, transaction, { keys, reason: 'credential-changed' }) };
      });
      await ended();
      return policy;
    },
  };
}

async function createOnce(deps: HubsDeps, transaction: HubTransaction, wanted: HubDescription): Promise<HubInstance> {
  const { hubs } = transaction;
  const existing = await hubs.get(wanted.name);
  if (existing !== undefined && bareHost(existing.hostName) === wanted.hostName) return existing;
  if (existing !== undefined) {
    throw new ServiceError('ResourceExists', `There is an IoT hub '${existing.name}' already, with the host name ${existing.hostName}.`);
  }
  const neighbour = (await hubs.list()).find(({ hostName }) => bareHost(hostName) === wanted.hostName);
  if (neighbour !== undefined)
    throw new ServiceError('ResourceExists', `The host name ${wanted.hostName} belongs to the IoT hub '${neighbour.name}'.`);
  const hub = { ...wanted, createdAt: deps.clock.now() };
  await hubs.insert(hub);
  for (const policy of defaultPolicies) await hubs.putPolicy(hub.name, withFreshKeys(policy, deps.ids));
  return hub;
}

function withRenewedKey(policy: HubPolicyRow, which: 'primary' | 'secondary' | 'swap', ids: Ids): HubPolicyRow {
  if (which === 'swap') return { ...policy, primaryKey: policy.secondaryKey, secondaryKey: policy.primaryKey };
  return { ...policy, [`${which}Key`]: freshKey(ids) };
}

function withFreshKeys(policy: Pick<HubPolicyRow, 'keyName' | 'rights'>, ids: Ids): HubPolicyRow {
  return { ...policy, primaryKey: freshKey(ids), secondaryKey: freshKey(ids) };
}

const freshKey = (ids: Ids): string => Buffer.from(ids.bytes(32)).toString('base64');

function requireWellFormed(name: string, host: string): void {
  if (!namePattern.test(name)) {
    throw new ServiceError('ArgumentInvalid', 'The name of an IoT hub must have 1 to 50 letters, digits or inner hyphens.');
  }
  if (!hostPattern.test(host))
    throw new ServiceError('ArgumentInvalid', 'The host name of an IoT hub must be a DNS name or an IPv4 address.');
}

const describe = ({ name, hostName }: HubInstance): HubDescription => ({ name, hostName });
