import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { asServiceError, ServiceError } from '../kernel/service-error.ts';
import { because } from './because.ts';
import { checkEndsLater } from './block-end.ts';
import type { Deprovision } from './deprovision.ts';
import { sortableId } from './ids.ts';
import type { FleetStorage, RunItem, RunRow } from './ports.ts';
import type { ChooseTargets } from './run-targets.ts';
import type { Fleet, RunDescription, RunTerms } from './service.ts';

export interface RunDeps {
  readonly storage: FleetStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly deprovision: Deprovision;
  readonly targets: ChooseTargets;
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
      const pending = { limit: atOnce, state: 'pending', ...(after === undefined ? {} : { after }) } as const;
      const { items } = await storage.read.runs.items(run.id, pending);
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
      checkEndsLater(terms.expiresAt, deps.clock);
      const devices = await deps.targets(targets);
      const run: RunRow = {
        id: sortableId('run', deps),
        kind: 'deprovision',
        request: { ...terms, of: 'devices' in targets ? 'list' : targets },
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

async function shutOut(deps: RunDeps, run: RunRow, item: RunItem): Promise<void> {
  const terms = run.request as unknown as RunTerms;
  try {
    await (terms.dryRun === true ? rehearse : perform)(deps, { run, item, terms });
  } catch (error) {
    if (error instanceof ServiceError && error.error === 'ShuttingDown') return;
    const { message } = asServiceError(error);
    await deps.storage.write(({ runs }) => runs.settle({ ...item, state: 'failed', message }));
    if (!(error instanceof ServiceError)) throw error;
  }
}

interface Turn {
  readonly run: RunRow;
  readonly item: RunItem;
  readonly terms: RunTerms;
}

const causeOf = ({ createdBy }: RunRow) => ({ by: { kind: 'operator', name: createdBy } }) as const;

async function perform({ deprovision }: RunDeps, { run, item, terms }: Turn): Promise<void> {
  await deprovision({ ...terms, device: item.target }, causeOf(run), async ({ runs }, { id }) => {
    await runs.settle({ ...item, state: 'done', ...(id === undefined ? {} : { receiptId: id }) });
  });
}

/** What would be done is rolled back, and that it was looked at is not. */
async function rehearse({ deprovision, storage }: RunDeps, { run, item, terms }: Turn): Promise<void> {
  const receipt = await deprovision({ ...terms, device: item.target, dryRun: true }, causeOf(run));
  const message = receipt.alreadyDone === true ? 'It is out already.' : receipt.steps.map(({ sentence }) => sentence).join(' ');
  await storage.write(({ runs }) => runs.settle({ ...item, state: 'done', message }));
}

async function describeById({ storage }: RunDeps, id: string): Promise<RunDescription> {
  const row = await storage.read.runs.get(id);
  if (row === undefined) throw new ServiceError('ResourceNotFound', `There is no run '${id}'.`);
  return { ...describe(row), counts: await storage.read.runs.counts(id) };
}

function describe({ id, kind, createdAt, finishedAt, request }: RunRow): Omit<RunDescription, 'counts'> {
  const { dryRun } = request as unknown as RunTerms;
  return { id, kind, createdAt, ...(dryRun === true ? { dryRun } : {}), ...(finishedAt === undefined ? {} : { finishedAt }) };
}
