import type { DecisionStore } from '../../provisioning/ports.ts';
import { jsonText, parseJson } from './columns.ts';
import type { DecisionTable, SqlExecutor } from './schema.ts';

const decisionColumns = [
  'tracking_id',
  'instance',
  'registration_id',
  'decided_at',
  'transport',
  'verdict',
  'trace',
] as const satisfies readonly (keyof DecisionTable)[];

export function createSqlDecisionStore(db: SqlExecutor): DecisionStore {
  return {
    async append(row) {
      await db
        .insertInto('decision')
        .values({
          tracking_id: row.trackingId,
          instance: row.instance,
          registration_id: row.registrationId,
          decided_at: row.at,
          transport: row.transport,
          verdict: row.verdict,
          trace: jsonText(row.trace),
        })
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
    async get(trackingId) {
      const row = await db.selectFrom('decision').select(decisionColumns).where('tracking_id', '=', trackingId).executeTakeFirst();
      return (
        row && {
          trackingId: row.tracking_id,
          instance: row.instance,
          registrationId: row.registration_id,
          at: row.decided_at,
          transport: row.transport,
          verdict: row.verdict,
          trace: parseJson(row.trace),
        }
      );
    },
  };
}
