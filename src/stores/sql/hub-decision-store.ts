import type { HubDecisionStore } from '../../hub/ports.ts';
import { jsonText, parseJson } from './columns.ts';
import { pruneDecisions } from './prune-decisions.ts';
import type { HubDecisionTable, SqlExecutor } from './schema.ts';

const columns = [
  'tracking_id',
  'hub',
  'device_id',
  'decided_at',
  'transport',
  'error',
  'trace',
] as const satisfies readonly (keyof HubDecisionTable)[];

export function createSqlHubDecisionStore(db: SqlExecutor): HubDecisionStore {
  return {
    async append({ trackingId, hub, deviceId, at, transport, error, trace }) {
      const row = { tracking_id: trackingId, hub, device_id: deviceId, decided_at: at, transport, error, trace: jsonText(trace) };
      await db.insertInto('hub_decision').values(row).execute();
    },
    async get(wanted) {
      const row = await db.selectFrom('hub_decision').select(columns).where('tracking_id', '=', wanted).executeTakeFirst();
      if (row === undefined) return undefined;
      const { tracking_id: trackingId, hub, device_id: deviceId, decided_at: at, transport, error, trace } = row;
      return { trackingId, hub, deviceId, at, transport, error, trace: parseJson(trace) };
    },
    prune: (bounds) => pruneDecisions(db, 'hub_decision', bounds),
  };
}
