import type { DecisionRow, DecisionStore } from '../../provisioning/ports.ts';
import { jsonText, parseJson, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import { pruneDecisions } from './prune-decisions.ts';
import type { DecisionTable, SqlExecutor } from './schema.ts';

const decisionColumns = [
  'tracking_id',
  'instance',
  'registration_id',
  'decided_at',
  'transport',
  'verdict',
  'trace',
  'operation_id',
] as const satisfies readonly (keyof DecisionTable)[];

const putDecision = prepare((db, { decision }: { readonly decision: DecisionTable }) => {
  const { tracking_id: _tracking, ...changed } = decision;
  return db
    .insertInto('decision')
    .values(decision)
    .onConflict((conflict) => conflict.column('tracking_id').doUpdateSet(changed));
});

export function createSqlDecisionStore(db: SqlExecutor): DecisionStore {
  return {
    async append(row) {
      await putDecision(db, { decision: decisionColumnsOf(row) });
    },
    prune: (bounds) => pruneDecisions(db, 'decision', bounds),
    async get(id) {
      const select = db.selectFrom('decision').select(decisionColumns);
      const row =
        (await select.where('tracking_id', '=', id).executeTakeFirst()) ?? (await select.where('operation_id', '=', id).executeTakeFirst());
      return row && decisionFrom(row);
    },
  };
}

function decisionFrom(row: DecisionTable): DecisionRow {
  return {
    trackingId: row.tracking_id,
    instance: row.instance,
    registrationId: row.registration_id,
    at: row.decided_at,
    transport: row.transport,
    verdict: row.verdict,
    trace: parseJson(row.trace),
    ...withoutNulls({ operationId: row.operation_id }),
  };
}

function decisionColumnsOf(row: DecisionRow): DecisionTable {
  return {
    tracking_id: row.trackingId,
    instance: row.instance,
    registration_id: row.registrationId,
    decided_at: row.at,
    transport: row.transport,
    verdict: row.verdict,
    trace: jsonText(row.trace),
    operation_id: row.operationId ?? null,
  };
}
