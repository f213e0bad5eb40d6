import { setImmediate as nextTurn } from 'node:timers/promises';

import { limits } from '../contracts/limits.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Shape } from '../provisioning/query/condition.ts';
import { parseQuery, readCollection } from '../provisioning/query/parse-query.ts';
import { groupShape, individualShape, recordShape } from '../provisioning/query/shapes.ts';
import type { Provisioning } from '../provisioning/service.ts';
import type { FleetStorage } from './ports.ts';
import type { RunTargets } from './service.ts';

/**
 * Every device that is meant, once, in the order in which it was given or found. Throws `ArgumentInvalid` for none or more than
 * a run takes, and `DpsBadRequest` for a query that cannot be read.
 */
export type ChooseTargets = (targets: RunTargets) => Promise<readonly string[]>;

export interface TargetDeps {
  readonly storage: FleetStorage;
  readonly provisioning: Pick<Provisioning, 'individualEnrollments' | 'enrollmentGroups' | 'records'>;
}

export function createChooseTargets(deps: TargetDeps): ChooseTargets {
  return async (targets) => {
    const chosen = new Set<string>();
    for await (const given of namesOf(deps, targets)) {
      const device = given.trim();
      if (device !== '') chosen.add(device);
      if (chosen.size > limits.runDevices)
        throw new ServiceError('ArgumentInvalid', `A run has at most ${limits.runDevices} devices; these are more.`);
    }
    if (chosen.size === 0) throw new ServiceError('ArgumentInvalid', `${nobody(targets)} There is no device in this run.`);
    return [...chosen];
  };
}

function nobody(targets: RunTargets): string {
  if ('devices' in targets) return 'The list is empty.';
  return 'group' in targets ? `No registration record names an enrollment group '${targets.group}'.` : 'The query finds nobody.';
}

async function* namesOf(deps: TargetDeps, targets: RunTargets): AsyncGenerator<string> {
  if ('devices' in targets) {
    yield* targets.devices;
    return;
  }
  for (const instance of await instancesOf(deps.storage, targets.instance)) {
    if ('group' in targets) yield* membersOf(deps.storage, instance, targets.group);
    else yield* found(deps, instance, targets.query);
  }
}

async function instancesOf({ read }: FleetStorage, wanted: string | undefined): Promise<readonly string[]> {
  const names = (await read.instances.list()).map(({ name }) => name);
  const chosen = wanted === undefined ? names : names.filter((name) => name.toLowerCase() === wanted.toLowerCase());
  if (wanted !== undefined && chosen.length === 0) {
    throw new ServiceError('ResourceNotFound', `There is no provisioning service named '${wanted}'.`);
  }
  return chosen;
}

async function* membersOf({ read }: FleetStorage, instance: string, group: string): AsyncGenerator<string> {
  for await (const { registrationId } of each((page) => read.registrations.listByGroup(instance, group, page))) yield registrationId;
}

/** A resource that may stand after FROM, and the registration ids that those of it stand for. */
interface Collection {
  readonly shape: Shape;
  readonly names: (deps: TargetDeps, instance: string, query: string) => AsyncGenerator<string>;
}

const collections: Readonly<Record<string, Collection>> = {
  enrollments: {
    shape: individualShape,
    async *names({ provisioning }, instance, query) {
      const entries = each((page) => provisioning.individualEnrollments.list(instance, { ...page, query }));
      for await (const { registrationId } of entries) yield registrationId;
    },
  },
  enrollmentgroups: {
    shape: groupShape,
    async *names({ provisioning, storage }, instance, query) {
      const groups = each((page) => provisioning.enrollmentGroups.list(instance, { ...page, query }));
      for await (const { enrollmentGroupId } of groups) yield* membersOf(storage, instance, enrollmentGroupId);
    },
  },
  registrations: {
    shape: recordShape,
    async *names({ provisioning }, instance, query) {
      const records = each((page) => provisioning.records.list(instance, { ...page, query }));
      for await (const { registrationId } of records) if (registrationId !== undefined) yield registrationId;
    },
  },
};

const understood = 'FROM enrollments (individual ones), FROM enrollmentGroups (whatever they provisioned) or FROM registrations';

function found(deps: TargetDeps, instance: string, query: string): AsyncGenerator<string> {
  const name = readCollection(query)?.toLowerCase() ?? '';
  const collection = Object.hasOwn(collections, name) ? collections[name] : undefined;
  if (collection === undefined) throw new ServiceError('ArgumentInvalid', `Say which devices are meant: ${understood}.`);
  if (parseQuery(query, collection.shape) !== undefined) return collection.names(deps, instance, query);
  // Whoever means everybody can say so, and does not do it by leaving something out.
  throw new ServiceError('ArgumentInvalid', 'A query without WHERE means every device. Say which ones.');
}

const rowsAtOnce = 1000;

/** A page may be empty and have a next one; between two of them others get a turn. */
async function* each<Row>(read: (page: PageRequest) => Promise<Page<Row>>): AsyncGenerator<Row> {
  let after: string | undefined;
  do {
    const { items, next }: Page<Row> = await read({ limit: rowsAtOnce, ...(after === undefined ? {} : { after }) });
    yield* items;
    after = next;
    await nextTurn();
  } while (after !== undefined);
}
