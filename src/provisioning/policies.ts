import { type ProvisioningRight, provisioningRights } from '../contracts/dps/rights.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { changeInstance, requireInstance } from './instances.ts';
import { freshKey, ownerPolicyName } from './policy-keys.ts';
import type { AccessPolicyRow, InstanceStore, ProvisioningStorage } from './ports.ts';
import type { AccessPolicies, PolicyChange } from './service.ts';

interface PolicyDependencies {
  readonly storage: ProvisioningStorage;
  readonly ids: Ids;
}

const keyNamePattern = /^[A-Za-z0-9_.+%#*?!(),=@;'-]{1,64}$/u;

/** What clients need that are given the name of a service and no key: the first policy with these is the one az takes (4.10). */
const operatorRights: readonly ProvisioningRight[] = ['ServiceConfig', 'EnrollmentWrite'];

/**
 * Shared access policies of an instance. A change holds from the next request on: keys are read with each of them. Every
 * change advances the entity tag of the instance, as it does in Azure, where policies are a part of it.
 */
export function createPolicies(deps: PolicyDependencies): AccessPolicies {
  const { storage, ids } = deps;

  /** Runs a change of the policies of an instance, in one transaction with its new entity tag. */
  function change<T>(name: string, precondition: Precondition, work: (policies: PolicyTransaction) => Promise<T>): Promise<T> {
    return storage.write(async ({ instances }) => {
      const instance = await requireInstance(instances, name);
      await changeInstance(instances, instance, { etag: ids.etag(), precondition });
      return work({ instances, instance: instance.name });
    });
  }

  return {
    async list(name) {
      const { instances } = storage.read;
      return ownerFirst(await instances.policies((await requireInstance(instances, name)).name));
    },

    async get(name, keyName) {
      const { instances } = storage.read;
      return requirePolicy(await instances.policies((await requireInstance(instances, name)).name), keyName);
    },

    create: (name, keyName, { precondition, ...given }) =>
      change(name, precondition, async ({ instances, instance }) => {
        if (!keyNamePattern.test(keyName)) throw bad("keyName takes 1 to 64 letters, digits and _ . + % # * ? ! ( ) , = @ ; ' -.");
        if (find(await instances.policies(instance), keyName) !== undefined) {
          throw new ServiceError('ResourceExists', `There is a shared access policy named '${keyName}' already.`);
        }
        const fresh = { keyName, primaryKey: freshKey(ids), secondaryKey: freshKey(ids), rights: [] };
        const policy = changed(fresh, { ...given, rights: given.rights ?? [] }, ids);
        await instances.putPolicy(instance, policy);
        return policy;
      }),

    update: (name, keyName, { precondition, ...given }) =>
      change(name, precondition, async ({ instances, instance }) => {
        const policies = await instances.policies(instance);
        const policy = changed(requirePolicy(policies, keyName), given, ids);
        keepOperator(policies, policy.keyName, policy);
        await instances.putPolicy(instance, policy);
        return policy;
      }),

    renewKey: (name, keyName, { key, precondition }) =>
      change(name, precondition, async ({ instances, instance }) => {
        const current = requirePolicy(await instances.policies(instance), keyName);
        const { primaryKey, secondaryKey } = current;
        const policy =
          key === 'swap'
            ? { ...current, primaryKey: secondaryKey, secondaryKey: primaryKey }
            : { ...current, [`${key}Key`]: freshKey(ids) };
        await instances.putPolicy(instance, policy);
        return policy;
      }),

    delete: (name, keyName, precondition) =>
      change(name, precondition, async ({ instances, instance }) => {
        const policies = await instances.policies(instance);
        const policy = requirePolicy(policies, keyName);
        keepOperator(policies, policy.keyName);
        await instances.deletePolicy(instance, policy.keyName);
      }),
  };
}

interface PolicyTransaction {
  readonly instances: InstanceStore;
  readonly instance: string;
}

/** Whether a policy is good for those who manage enrollments. */
export function isOperatorPolicy({ rights }: Pick<AccessPolicyRow, 'rights'>): boolean {
  return operatorRights.every((right) => rights.includes(right));
}

/** The policy with what was given; an empty key is one to be made anew, as az has it. Throws `DpsBadRequest`. */
function changed(policy: AccessPolicyRow, { rights, primaryKey, secondaryKey }: PolicyChange, ids: Ids): AccessPolicyRow {
  return {
    ...policy,
    ...(rights === undefined ? {} : { rights: readRights(rights) }),
    ...(primaryKey === undefined ? {} : { primaryKey: readKey('primaryKey', primaryKey, ids) }),
    ...(secondaryKey === undefined ? {} : { secondaryKey: readKey('secondaryKey', secondaryKey, ids) }),
  };
}

/** In the order of Azure's own list, each once. */
function readRights(given: readonly string[]): readonly ProvisioningRight[] {
  const wanted = new Set(given.map((right) => right.toLowerCase()));
  const rights = provisioningRights.filter((right) => wanted.delete(right.toLowerCase()));
  if (wanted.size > 0 || rights.length === 0) throw bad(`rights takes one or more of ${provisioningRights.join(', ')}.`);
  return rights;
}

function readKey(field: string, key: string, ids: Ids): string {
  if (key === '') return freshKey(ids);
  const length = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(key) ? Buffer.from(key, 'base64').length : 0;
  if (length >= 16 && length <= 64) return key;
  throw bad(`${field} takes the base64 of 16 to 64 bytes; leave it empty to have one made.`);
}

/** Refuses the change that would leave nobody able to manage the service with `--dps-name`, this command line included. */
function keepOperator(policies: readonly AccessPolicyRow[], keyName: string, next?: AccessPolicyRow): void {
  const after = [...policies.filter((policy) => policy.keyName !== keyName), ...(next === undefined ? [] : [next])];
  if (after.some(isOperatorPolicy)) return;
  throw bad(`one policy has to have the rights ${operatorRights.join(' and ')}. Give them to another one first.`);
}

function requirePolicy(policies: readonly AccessPolicyRow[], keyName: string): AccessPolicyRow {
  const policy = find(policies, keyName);
  if (policy === undefined) throw new ServiceError('ResourceNotFound', `There is no shared access policy '${keyName}'.`);
  return policy;
}

/** Tokens name policies without regard to case, so there cannot be two that differ in nothing else. */
function find(policies: readonly AccessPolicyRow[], keyName: string): AccessPolicyRow | undefined {
  return policies.find((policy) => policy.keyName.toLowerCase() === keyName.toLowerCase());
}

/** Azure lists them in the order of creation, which begins with the owner's. */
function ownerFirst(policies: readonly AccessPolicyRow[]): readonly AccessPolicyRow[] {
  return policies.toSorted((a, b) => Number(b.keyName === ownerPolicyName) - Number(a.keyName === ownerPolicyName));
}

function bad(sentence: string): ServiceError {
  return new ServiceError('DpsBadRequest', `The shared access policy is not valid: ${sentence}`);
}
