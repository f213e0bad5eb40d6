import type { DecisionRow, DecisionStore } from '../../provisioning/ports.ts';
import { jsonText, parseJson, withoutNulls } from './columns.ts';
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

export function createSqlDecisionStore(db: SqlExecutor): DecisionStore {
  return {
    async append(row) {
      const columns = decisionColumnsOf(row);
      const { tracking_id: _tracking, ...changed } = columns;
      await db
        .insertInto('decision')
        .values(columns)
        .onConflict((conflict) => conflict.column('tracking_id').doUpdateSet(changed))
        .execute();
    },
    async prune({ before, keep }) {
      const old = await db.deleteFrom('decision').where('decided_at', '<', before).executeTakeFirstOrThrow();
      const newestToGo = await db
        .selectFrom('decision')
        .select(['decided_at', 'tracking_id'])
        .orderBy('decided_at', 'desc')
        .orderBy('tracking_id', 'desc')
        .limit(1)
        .offset(keep)
        .executeTakeFirst();
      if (newestToGo === undefined) return Number(old.numDeletedRows);
      const { decided_at, tracking_id } = newestToGo;
      const surplus = await db
        .deleteFrom('decision')
        .where((eb) =>
          eb.or([eb('decided_at', '<', decided_at), eb.and([eb('decided_at', '=', decided_at), eb('tracking_id', '<=', tracking_id)])]),
        )
        .executeTakeFirstOrThrow();
      return Number(old.numDeletedRows + surplus.numDeletedRows);
    },
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
