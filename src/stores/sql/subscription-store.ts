import type { SubscriptionStore } from '../../hub/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import type { SqlExecutor } from './schema.ts';

export function createSqlSubscriptionStore(db: SqlExecutor): SubscriptionStore {
  return {
    async get(hub, deviceId) {
      const row = await db
        .selectFrom('subscription')
        .select('filters')
        .where('hub_key', '=', keyOf(hub))
        .where('device_id', '=', deviceId)
        .executeTakeFirst();
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
