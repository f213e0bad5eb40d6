import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Cause } from '../../audit/actor.ts';
import type { Drift, DriftKind, Mended } from '../../contracts/fleet/drift.ts';
import { limits } from '../../contracts/limits.ts';
import type { Page } from '../../kernel/page.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { because } from '../because.ts';
import { createDenies, type DenyDeps } from './denies.ts';
import { mend, type MendDeps } from './mend.ts';
import { createIsShutOut, type ShutOutDeps } from './shut-out.ts';
import { createStages, type Examined, type Stage } from './stages.ts';

/** Which drift. */
export interface DriftQuery {
  /** A page ends after so many, or a few more where one thing has come apart in several ways. */
  readonly limit: number;
  readonly after?: string;
  /** Absent: every kind. */
  readonly kinds?: readonly DriftKind[];
}

export interface MendRequest extends DriftQuery {
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly ticket?: string;
}

export interface Reconcile {
  /**
   * What has come apart, in a fixed order. One page looks at a bounded number of rows, so that it may be short or empty and
   * still have a next one. Throws `ArgumentInvalid` for an `after` that no page has given.
   */
  list(query: DriftQuery): Promise<Page<Drift>>;
  /** The same, and mends what is safe, each in a transaction of its own. */
  mend(request: MendRequest, cause: Cause): Promise<Page<Mended>>;
}

export function createReconcile(given: DenyDeps & Omit<MendDeps, 'isShutOut'> & ShutOutDeps): Reconcile {
  const deps = { ...given, isShutOut: createIsShutOut(given) };
  const stages = createStages({ stores: deps.storage.read, isShutOut: deps.isShutOut, clock: deps.clock, denies: createDenies(deps) });
  const list = (query: DriftQuery): Promise<Page<Drift>> => walk(stages, query);
  return {
    list,
    async mend({ dryRun = false, reason = 'reconcile', ticket, ...query }, given) {
      const cause = because(given, { reason, ...(ticket === undefined ? {} : { ticket }) });
      const { items, ...rest } = await list(query);
      const mended: Mended[] = [];
      for (const finding of items) mended.push(await mend(deps, finding, { cause, dryRun }));
      return { items: mended, ...rest };
    },
  };
}

/** Rows after which others get a turn: a store in this process answers without ever letting go of it. */
const rowsPerTurn = 250;

async function walk(stages: readonly Stage[], { limit, after, kinds }: DriftQuery): Promise<Page<Drift>> {
  const start = readPlace(stages, after);
  const items: Drift[] = [];
  let examined = 0;
  let place: string | undefined;
  for (const [at, stage] of stages.entries()) {
    if (at < start.stage || kinds?.some((kind) => stage.kinds.includes(kind)) === false) continue;
    for await (const row of stage.rows(at === start.stage ? start.key : undefined)) {
      const found = kinds === undefined ? row.findings : row.findings.filter(({ kind }) => kinds.includes(kind));
      if (place !== undefined && items.length + found.length > limit) return { items, next: place };
      items.push(...found);
      place = placeOf(stage, row);
      examined += row.cost;
      if (examined >= limits.driftExaminedRows) return { items, next: place };
      if (examined % rowsPerTurn < row.cost) await nextTurn();
    }
  }
  return { items };
}

const placeOf = ({ name }: Stage, { key }: Examined): string => Buffer.from(`${name}\n${key}`, 'utf8').toString('base64url');

function readPlace(stages: readonly Stage[], after: string | undefined): { readonly stage: number; readonly key?: string } {
  if (after === undefined) return { stage: 0 };
  const [name, ...key] = Buffer.from(after, 'base64url').toString('utf8').split('\n');
  const stage = stages.findIndex((candidate) => candidate.name === name);
  if (stage < 0 || key.length === 0)
    throw new ServiceError('ArgumentInvalid', 'That is no place in a list of drift: give what a page has as next.');
  return { stage, key: key.join('\n') };
}
