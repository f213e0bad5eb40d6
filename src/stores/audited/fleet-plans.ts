import type { Block } from '../../blocks/block.ts';
import type { BlockStore } from '../../blocks/ports.ts';
import type { EventStore } from '../../events/ports.ts';
import type { DriftStore, ReceiptStore, RunStore, TripwireStore } from '../../fleet/ports.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { OperatorTokenRow, OperatorTokenStore } from '../../operators/ports.ts';
import type { RefusalStore } from '../../refusals/ports.ts';
import { gone, nothing, type Plan, view } from './plan.ts';

const reads = 'read';
const data = 'data';

export const blockPlan: Plan<BlockStore> = {
  matching: reads,
  get: reads,
  list: reads,
  ended: reads,
  insert: (_store, block) => ({ resource: blockResource(block.id), look: nothing, after: () => blockView(block) }),
  delete: (store, id) => ({ resource: blockResource(id), look: () => lookAtBlock(store, id), after: gone }),
  setReadmission: (store, id) => ({ resource: blockResource(id), look: () => lookAtBlock(store, id) }),
  useReadmission: (store, id) => ({ resource: blockResource(id), look: () => lookAtBlock(store, id) }),
  noteEnd: (store, id) => ({ resource: blockResource(id), look: () => lookAtBlock(store, id) }),
};

const blockResource = (id: string) => ({ kind: 'block', id });

async function lookAtBlock(store: BlockStore, id: string): Promise<JsonObject | undefined> {
  const block = await store.get(id);
  return block && blockView(block);
}

function blockView({ selectors, reason, ticket, expiresAt, receiptId, readmission, endNotedAt }: Block): JsonObject {
  return view({
    selectors: selectors.map(({ kind, value }) => ({ kind, value })),
    reason,
    ticket,
    expiresAt: timeOf(expiresAt),
    receiptId,
    readmission: readmission && { until: timeOf(readmission.until), usedAt: timeOf(readmission.usedAt) },
    state: endNotedAt === undefined ? 'in-force' : 'ended',
  });
}

const timeOf = (at: Instant | undefined): string | undefined => (at === undefined ? undefined : new Date(at).toISOString());

/** What a receipt tells is told by the changes that it is about; what it keeps for an undo has keys and stays with it. */
export const receiptPlan: Plan<ReceiptStore> = {
  get: reads,
  list: reads,
  insert: (_store, { id, kind, device }) => ({ resource: { kind: 'receipt', id }, look: nothing, after: () => ({ kind, device }) }),
  amend: data,
  markUndone: (store, id) => ({
    resource: { kind: 'receipt', id },
    look: async () => {
      const row = await store.get(id);
      return row && view({ kind: row.kind, device: row.device, undoneBy: row.undoneBy });
    },
  }),
};

/** A run tells that it was begun, and of how many; each device tells of itself. */
export const runPlan: Plan<RunStore> = {
  get: reads,
  list: reads,
  unfinished: reads,
  counts: reads,
  items: reads,
  insert: (_store, { id, kind, request }, targets) => ({
    resource: { kind: 'run', id },
    look: nothing,
    after: () => ({ kind, request, targets: targets.length }),
  }),
  settle: data,
  finish: data,
};

export const tokenPlan: Plan<OperatorTokenStore> = {
  get: reads,
  named: reads,
  list: reads,
  insert: (_store, row) => ({ resource: tokenResource(row.id), look: nothing, after: () => tokenView(row) }),
  revoke: (store, id) => ({
    resource: tokenResource(id),
    look: async () => {
      const row = await store.get(id);
      return row && tokenView(row);
    },
  }),
};

const tokenResource = (id: string) => ({ kind: 'operator-token', id });

function tokenView({ name, role, expiresAt, revokedAt }: OperatorTokenRow): JsonObject {
  return view({ name, role, expiresAt: timeOf(expiresAt), revokedAt: timeOf(revokedAt) });
}

/** Refusals are a record of their own. */
export const refusalPlan: Plan<RefusalStore> = { after: reads, newest: reads, bounds: reads, append: data, prune: data };

/** What they tell of is in the trail by itself, or is what a device did. */
export const eventPlan: Plan<EventStore> = {
  after: reads,
  newest: reads,
  delivered: reads,
  append: data,
  markDelivered: data,
  prune: data,
};
export const tripwirePlan: Plan<TripwireStore> = { get: reads, list: reads, put: data, prune: data };
export const driftPlan: Plan<DriftStore> = { records: reads, identities: reads, identitiesOf: reads, recordsOf: reads, entriesOf: reads };
