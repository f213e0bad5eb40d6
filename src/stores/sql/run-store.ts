import type { RunItem, RunItemState, RunRow, RunStore } from '../../fleet/ports.ts';
import { jsonText, pageOf, parseJson, probeLimit, withoutNulls } from './columns.ts';
import type { FleetRunItemTable, FleetRunTable, SqlExecutor } from './schema.ts';

const runColumns = [
  'run_id',
  'kind',
  'request',
  'created_by',
  'created_at',
  'finished_at',
] as const satisfies readonly (keyof FleetRunTable)[];
const itemColumns = [
  'run_id',
  'ordinal',
  'target',
  'state',
  'receipt_id',
  'message',
] as const satisfies readonly (keyof FleetRunItemTable)[];

/** Rows of one statement: six values each, well below what any database binds at once. */
const rowsPerInsert = 1000;

export function createSqlRunStore(db: SqlExecutor): RunStore {
  return { ...runs(db), ...items(db) };
}

function runs(db: SqlExecutor): Pick<RunStore, 'insert' | 'get' | 'list' | 'unfinished' | 'finish'> {
  return {
    async insert(run, targets) {
      const { id: run_id, kind, request, createdBy: created_by, createdAt: created_at } = run;
      await db
        .insertInto('fleet_run')
        .values({ run_id, kind, request: jsonText(request), created_by, created_at, finished_at: run.finishedAt ?? null })
        .execute();
      for (let first = 0; first < targets.length; first += rowsPerInsert) {
        const rows = targets
          .slice(first, first + rowsPerInsert)
          .map((target, at) => ({ run_id, ordinal: first + at, target, state: 'pending' as const, receipt_id: null, message: null }));
        await db.insertInto('fleet_run_item').values(rows).execute();
      }
    },
    async get(id) {
      const row = await db.selectFrom('fleet_run').select(runColumns).where('run_id', '=', id).executeTakeFirst();
      return row && runFrom(row);
    },
    async list(limit) {
      const rows = await db.selectFrom('fleet_run').select(runColumns).orderBy('run_id', 'desc').limit(limit).execute();
      return rows.map(runFrom);
    },
    async unfinished() {
      const rows = await db.selectFrom('fleet_run').select(runColumns).where('finished_at', 'is', null).orderBy('run_id').execute();
      return rows.map(runFrom);
    },
    async finish(id, at) {
      await db.updateTable('fleet_run').set({ finished_at: at }).where('run_id', '=', id).execute();
    },
  };
}

function items(db: SqlExecutor): Pick<RunStore, 'counts' | 'items' | 'settle'> {
  return {
    async counts(id) {
      const rows = await db
        .selectFrom('fleet_run_item')
        .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
        .where('run_id', '=', id)
        .groupBy('state')
        .execute();
      const count = (state: RunItemState): number => rows.find((row) => row.state === state)?.count ?? 0;
      return { pending: count('pending'), done: count('done'), failed: count('failed') };
    },
    async items(id, { state, ...page }) {
      const { after } = page;
      const rows = await db
        .selectFrom('fleet_run_item')
        .select(itemColumns)
        .where('run_id', '=', id)
        .$if(state !== undefined, (query) => query.where('state', '=', state as RunItemState))
        .$if(after !== undefined, (query) => query.where('ordinal', '>', Number(after)))
        .orderBy('ordinal')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, { key: (row) => String(row.ordinal), item: itemFrom });
    },
    async settle({ run, ordinal, state, receiptId, message }) {
      await db
        .updateTable('fleet_run_item')
        .set({ state, receipt_id: receiptId ?? null, message: message ?? null })
        .where('run_id', '=', run)
        .where('ordinal', '=', ordinal)
        .execute();
    },
  };
}

function runFrom(row: FleetRunTable): RunRow {
  return {
    id: row.run_id,
    kind: row.kind,
    request: parseJson(row.request),
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...withoutNulls({ finishedAt: row.finished_at }),
  };
}

function itemFrom(row: FleetRunItemTable): RunItem {
  return {
    run: row.run_id,
    ordinal: row.ordinal,
    target: row.target,
    state: row.state,
    ...withoutNulls({ receiptId: row.receipt_id, message: row.message }),
  };
}
