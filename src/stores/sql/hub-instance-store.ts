import type { HubInstance, HubInstanceStore } from '../../hub/ports.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { keyOf } from './columns.ts';
import { policyColumns, policyColumnsOf, policyFrom } from './policy-row.ts';
import { prepare } from './prepared.ts';
import type { HubTable, SqlExecutor } from './schema.ts';

type HubColumns = Omit<HubTable, 'name_key'>;

const hubColumns = ['name', 'host_name', 'created_at'] as const satisfies readonly (keyof HubColumns)[];

const selectHub = prepare((db, at: { readonly nameKey: string }) =>
  db.selectFrom('hub').select(hubColumns).where('name_key', '=', at.nameKey),
);
const selectHubs = prepare((db, _all: object) => db.selectFrom('hub').select(hubColumns).orderBy('name_key'));
const selectPolicies = prepare((db, at: { readonly hubKey: string }) =>
  db.selectFrom('hub_policy').select(policyColumns).where('hub_key', '=', at.hubKey).orderBy('key_name'),
);

export function createSqlHubInstanceStore(db: SqlExecutor): HubInstanceStore {
  return {
    async get(name) {
      const {
        rows: [row],
      } = await selectHub(db, { nameKey: keyOf(name) });
      return row && hubFrom(row);
    },
    async list() {
      const { rows } = await selectHubs(db, {});
      return rows.map(hubFrom);
    },
    async insert(hub) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('hub')
        .values({ name_key: keyOf(hub.name), name: hub.name, host_name: hub.hostName, created_at: hub.createdAt })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows === 0n) throw new ServiceError('ResourceExists', `The hub "${hub.name}" exists already.`);
    },
    async policies(hub) {
      const { rows } = await selectPolicies(db, { hubKey: keyOf(hub) });
      return rows.map(policyFrom);
    },
    async putPolicy(hub, policy) {
      const columns = policyColumnsOf(policy);
      await db
        .insertInto('hub_policy')
        .values({ hub_key: keyOf(hub), ...columns })
        .onConflict((conflict) => conflict.columns(['hub_key', 'key_name']).doUpdateSet(columns))
        .execute();
    },
  };
}

function hubFrom(row: HubColumns): HubInstance {
  return { name: row.name, hostName: row.host_name, createdAt: row.created_at };
}
