import type { SubscriptionStore } from '../../hub/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import { prepare } from './prepared.ts';
import type { SqlExecutor } from './schema.ts';

const selectFilters = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.selectFrom('subscription').select('filters').where('hub_key', '=', at.hubKey).where('device_id', '=', at.deviceId),
);

export function createSqlSubscriptionStore(db: SqlExecutor): SubscriptionStore {
  return {
    async get(hub, deviceId) {
      const {
        rows: [row],
      } = await selectFilters(db, { hubKey: keyOf(hub), deviceId });
      return row && new Map(parseJson(row.filters));
    },
    async put(hub, deviceId, subscriptions) {
      const filters = jsonText([...subscriptions]);
      await db
        .insertInto('subscription')
        .values({ hub_key: keyOf(hub), device_id: deviceId, filters })
        .onConflict((conflict) => conflict.columns(['hub_key', 'device_id']).doUpdateSet({ filters }))
        .execute();
    },
    async delete(hub, deviceId) {
      await db.deleteFrom('subscription').where('hub_key', '=', keyOf(hub)).where('device_id', '=', deviceId).execute();
    },
  };
}
