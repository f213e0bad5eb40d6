import { ServiceError } from '../../kernel/service-error.ts';
import type { InstanceStore, LinkedHubRow, ProvisioningInstance } from '../../provisioning/ports.ts';
import { flagOf, jsonText, keyOf, parseJson } from './columns.ts';
import { policyColumns, policyColumnsOf, policyFrom } from './policy-row.ts';
import { prepare } from './prepared.ts';
import type { LinkedHubTable, ProvisioningInstanceTable, SqlExecutor } from './schema.ts';

type InstanceColumns = Omit<ProvisioningInstanceTable, 'name_key' | 'trust_version'>;

const instanceColumns = [
  'name',
  'host_name',
  'id_scope',
  'allocation_policy',
  'created_at',
  'etag',
  'ip_filter_rules',
] as const satisfies readonly (keyof InstanceColumns)[];

const linkedHubColumns = [
  'instance_key',
  'host_key',
  'instance',
  'host_name',
  'location',
  'apply_allocation_policy',
  'allocation_weight',
] as const satisfies readonly (keyof LinkedHubTable)[];

const selectInstance = prepare((db, at: { readonly nameKey: string }) =>
  db.selectFrom('provisioning_instance').select(instanceColumns).where('name_key', '=', at.nameKey),
);
const selectInstances = prepare((db, _all: object) => db.selectFrom('provisioning_instance').select(instanceColumns).orderBy('name_key'));
const selectPolicies = prepare((db, at: { readonly instanceKey: string }) =>
  db.selectFrom('provisioning_policy').select(policyColumns).where('instance_key', '=', at.instanceKey).orderBy('key_name'),
);
const selectLinkedHubs = prepare((db, at: { readonly instanceKey: string }) =>
  db.selectFrom('linked_hub').select(linkedHubColumns).where('instance_key', '=', at.instanceKey).orderBy('host_key'),
);

export function createSqlInstanceStore(db: SqlExecutor): InstanceStore {
  return { ...instances(db), ...policies(db), ...linkedHubs(db) };
}

function instances(db: SqlExecutor): Pick<InstanceStore, 'get' | 'list' | 'insert' | 'update'> {
  return {
    async get(name) {
      const {
        rows: [row],
      } = await selectInstance(db, { nameKey: keyOf(name) });
      return row && instanceFrom(row);
    },
    async list() {
      const { rows } = await selectInstances(db, {});
      return rows.map(instanceFrom);
    },
    async insert(instance) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('provisioning_instance')
        .values({
          name_key: keyOf(instance.name),
          name: instance.name,
          host_name: instance.hostName,
          id_scope: instance.idScope,
          allocation_policy: instance.allocationPolicy,
          created_at: instance.createdAt,
          trust_version: 0,
          etag: instance.etag,
          ip_filter_rules: jsonText(instance.ipFilterRules),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows === 0n) {
        throw new ServiceError('ResourceExists', `The provisioning service "${instance.name}" or its ID scope exists already.`);
      }
    },
    async update(instance, expectedEtag) {
      const { numUpdatedRows } = await db
        .updateTable('provisioning_instance')
        .set({
          allocation_policy: instance.allocationPolicy,
          etag: instance.etag,
          ip_filter_rules: jsonText(instance.ipFilterRules),
        })
        .where('name_key', '=', keyOf(instance.name))
        .$if(expectedEtag !== undefined, (query) => query.where('etag', '=', expectedEtag as string))
        .executeTakeFirstOrThrow();
      if (numUpdatedRows > 0n) return;
      const isThere = await db.selectFrom('provisioning_instance').select('name').where('name_key', '=', keyOf(instance.name)).execute();
      throw isThere.length === 0
        ? new ServiceError('ResourceNotFound', `There is no provisioning service named "${instance.name}".`)
        : new ServiceError('DpsPreconditionFailed', `The provisioning service "${instance.name}" was changed by someone else.`);
    },
  };
}

function policies(db: SqlExecutor): Pick<InstanceStore, 'policies' | 'putPolicy' | 'deletePolicy'> {
  return {
    async policies(name) {
      const { rows } = await selectPolicies(db, { instanceKey: keyOf(name) });
      return rows.map(policyFrom);
    },
    async putPolicy(name, policy) {
      const columns = policyColumnsOf(policy);
      await db
        .insertInto('provisioning_policy')
        .values({ instance_key: keyOf(name), ...columns })
        .onConflict((conflict) => conflict.columns(['instance_key', 'key_name']).doUpdateSet(columns))
        .execute();
    },
    async deletePolicy(name, keyName) {
      const { numDeletedRows } = await db
        .deleteFrom('provisioning_policy')
        .where('instance_key', '=', keyOf(name))
        .where('key_name', '=', keyName)
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw new ServiceError('ResourceNotFound', `There is no shared access policy "${keyName}".`);
    },
  };
}

function linkedHubs(db: SqlExecutor): Pick<InstanceStore, 'linkedHubs' | 'putLinkedHub' | 'deleteLinkedHub'> {
  return {
    async linkedHubs(name) {
      const { rows } = await selectLinkedHubs(db, { instanceKey: keyOf(name) });
      return rows.map(linkedHubFrom);
    },
    async putLinkedHub(hub) {
      const columns = linkedHubColumnsOf(hub);
      const { instance_key: _instance, host_key: _host, ...changed } = columns;
      await db
        .insertInto('linked_hub')
        .values(columns)
        .onConflict((conflict) => conflict.columns(['instance_key', 'host_key']).doUpdateSet(changed))
        .execute();
    },
    async deleteLinkedHub(name, hostName) {
      const { numDeletedRows } = await db
        .deleteFrom('linked_hub')
        .where('instance_key', '=', keyOf(name))
        .where('host_key', '=', keyOf(hostName))
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw new ServiceError('ResourceNotFound', `The hub "${hostName}" is not linked to "${name}".`);
    },
  };
}

function instanceFrom(row: InstanceColumns): ProvisioningInstance {
  return {
    name: row.name,
    hostName: row.host_name,
    idScope: row.id_scope,
    allocationPolicy: row.allocation_policy,
    createdAt: row.created_at,
    etag: row.etag,
    ipFilterRules: parseJson(row.ip_filter_rules),
  };
}

function linkedHubFrom(row: LinkedHubTable): LinkedHubRow {
  return {
    instance: row.instance,
    hostName: row.host_name,
    location: row.location,
    applyAllocationPolicy: row.apply_allocation_policy === 1,
    allocationWeight: row.allocation_weight,
  };
}

function linkedHubColumnsOf(hub: LinkedHubRow): LinkedHubTable {
  return {
    instance_key: keyOf(hub.instance),
    host_key: keyOf(hub.hostName),
    instance: hub.instance,
    host_name: hub.hostName,
    location: hub.location,
    apply_allocation_policy: flagOf(hub.applyAllocationPolicy),
    allocation_weight: hub.allocationWeight,
  };
}
