import { limits } from '../contracts/limits.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Logger } from '../kernel/logger.ts';
import { asServiceError, ServiceError } from '../kernel/service-error.ts';
import { because } from './because.ts';
import type { Deprovision } from './deprovision.ts';
import { sortableId } from './ids.ts';
import type { FleetStorage, RunItem, RunRow } from './ports.ts';
import type { DeprovisionTerms, Fleet, RunDescription, RunTargets } from './service.ts';

export interface RunDeps {
  readonly storage: FleetStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly deprovision: Deprovision;
}

export type Runs = Fleet['runs'] & Pick<Fleet, 'recover' | 'close'>;

/** Devices under way at once: enough to share commits, few enough that a stop is soon over. */
const atOnce = 16;

/**
 * Changes of many devices. Each device has its own transaction, which writes its state in the run as well, so that a run
 * that was killed goes on with exactly the devices that are untouched.
 */
export function createRuns(deps: RunDeps): Runs {
  const { storage, log } = deps;
  const underWay = new Map<string, Promise<void>>();
  let closing = false;

  function go(run: RunRow): void {
    const work = goThrough(run)
      .catch((error: unknown) => log.error('fleet.run-failed', { run: run.id, error }))
      .finally(() => underWay.delete(run.id));
    underWay.set(run.id, work);
  }

  async function goThrough(run: RunRow): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const { items } = await storage.read.runs.items(run.id, {
        limit: atOnce,
        state: 'pending',
        ...(after === undefined ? {} : { after }),
      });
      if (closing) return;
      if (items.length === 0) break;
      await Promise.all(items.map((item) => shutOut(deps, run, item)));
      after = String(items.at(-1)?.ordinal);
    }
    await storage.write(({ runs }) => runs.finish(run.id, deps.clock.now()));
    log.info('fleet.run-finished', { run: run.id, ...(await storage.read.runs.counts(run.id)) });
  }

  return {
    async start(targets, terms, given) {
      const devices = await devicesOf(deps, targets);
      const run: RunRow = {
        id: sortableId('run', deps),
        kind: 'deprovision',
        request: terms as unknown as Json,
        createdBy: given.by.name,
        createdAt: deps.clock.now(),
      };
      await storage.write(({ runs }) => runs.insert(run, devices), because(given, terms));
      go(run);
      return { ...describe(run), counts: { pending: devices.length, done: 0, failed: 0 } };
    },
    get: (id) => describeById(deps, id),
    async list(limit) {
      const rows = await storage.read.runs.list(limit);
      return await Promise.all(rows.map(async (row) => ({ ...describe(row), counts: await storage.read.runs.counts(row.id) })));
    },
    async items(id, page) {
      await describeById(deps, id);
      return await storage.read.runs.items(id, page);
    },
    async recover() {
      const rows = await storage.read.runs.unfinished();
      for (const run of rows) go(run);
      return { resumedRuns: rows.length };
    },
    async close() {
      closing = true;
      await Promise.all(underWay.values());
    },
  };
}

async function shutOut({ deprovision, storage }: RunDeps, run: RunRow, item: RunItem): Promise<void> {
  const terms = run.request as unknown as DeprovisionTerms;
  try {
    await deprovision({ ...terms, device: item.target }, { by: { kind: 'operator', name: run.createdBy } }, async ({ runs }, { id }) => {
      await runs.settle({ ...item, state: 'done', ...(id === undefined ? {} : { receiptId: id }) });
    });
  } catch (error) {
    if (error instanceof ServiceError && error.error === 'ShuttingDown') return;
    const { message } = asServiceError(error);
    await storage.write(({ runs }) => runs.settle({ ...item, state: 'failed', message }));
    if (!(error instanceof ServiceError)) throw error;
  }
}

/** Every device once, in the order given. */
async function devicesOf({ storage }: RunDeps, targets: RunTargets): Promise<readonly string[]> {
  const named = 'devices' in targets ? targets.devices : await membersOf(storage, targets);
  const devices = [...new Set(named.map((device) => device.trim()))].filter((device) => device !== '');
  if (devices.length === 0) throw new ServiceError('ArgumentInvalid', 'There is no device in this run.');
  if (devices.length > limits.runDevices) {
    throw new ServiceError('ArgumentInvalid', `A run has at most ${limits.runDevices} devices; these are ${devices.length}.`);
  }
  return devices;
}

async function membersOf({ read }: FleetStorage, { group, instance }: Extract<RunTargets, { group: string }>): Promise<readonly string[]> {
  const members: string[] = [];
  for (const { name } of await read.instances.list()) {
    if (instance !== undefined && name.toLowerCase() !== instance.toLowerCase()) continue;
    let after: string | undefined;
    do {
      const page = await read.registrations.listByGroup(name, group, { limit: 1000, ...(after === undefined ? {} : { after }) });
      members.push(...page.items.map(({ registrationId }) => registrationId));
      after = page.next;
    } while (after !== undefined);
  }
  return members;
}

async function describeById({ storage }: RunDeps, id: string): Promise<RunDescription> {
  const row = await storage.read.runs.get(id);
  if (row === undefined) throw new ServiceError('ResourceNotFound', `There is no run '${id}'.`);
  return { ...describe(row), counts: await storage.read.runs.counts(id) };
}

function describe({ id, kind, createdAt, finishedAt }: RunRow): Omit<RunDescription, 'counts'> {
  return { id, kind, createdAt, ...(finishedAt === undefined ? {} : { finishedAt }) };
}
