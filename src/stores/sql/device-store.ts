import type { DeviceRow, DeviceStore } from '../../hub/ports.ts';
import { idsOf } from '../../contracts/hub/identity-path.ts';
import type { Page, PageRequest } from '../../kernel/page.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { flagOf, keyOf, pageOf, probeLimit, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { DeviceTable, SqlExecutor } from './schema.ts';

const deviceColumns = [
  'hub_key',
  'device_id',
  'hub',
  'generation_id',
  'etag_counter',
  'status',
  'status_reason',
  'status_updated_at',
  'authentication_type',
  'primary_key',
  'secondary_key',
  'primary_thumbprint',
  'secondary_thumbprint',
  'iot_edge',
  'created_at',
  'module_of',
  'managed_by',
  'device_scope',
  'parent_scope',
  'provisioned',
] as const satisfies readonly (keyof DeviceTable)[];

/** As many identities as share one certificate at most, in one answer. */
const found = 100;

const selectDevice = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.selectFrom('device').select(deviceColumns).where('hub_key', '=', at.hubKey).where('device_id', '=', at.deviceId),
);

const selectModules = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.selectFrom('device').select(deviceColumns).where('hub_key', '=', at.hubKey).where('module_of', '=', at.deviceId).orderBy('device_id'),
);

const deleteModules = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.deleteFrom('device').where('hub_key', '=', at.hubKey).where('module_of', '=', at.deviceId),
);

const insertDevice = prepare((db, { device }: { readonly device: DeviceTable }) =>
  db
    .insertInto('device')
    .values(device)
    .onConflict((conflict) => conflict.doNothing()),
);

const updateDevice = prepare(
  (
    db,
    at: {
      readonly hubKey: string;
      readonly deviceId: string;
      readonly changed: Omit<DeviceTable, 'hub_key' | 'device_id' | 'hub'>;
      readonly expectedEtagCounter: number | undefined;
    },
  ) => {
    const update = db.updateTable('device').set(at.changed).where('hub_key', '=', at.hubKey).where('device_id', '=', at.deviceId);
    return at.expectedEtagCounter === undefined ? update : update.where('etag_counter', '=', at.expectedEtagCounter);
  },
);

export function createSqlDeviceStore(db: SqlExecutor): DeviceStore {
  async function get(hub: string, deviceId: string): Promise<DeviceRow | undefined> {
    const {
      rows: [row],
    } = await selectDevice(db, { hubKey: keyOf(hub), deviceId });
    if (row === undefined || row.module_of === null) return row && deviceFrom(row);
    const owner = await get(hub, row.module_of);
    return owner && moduleFrom(row, owner);
  }

  /** Why a compare-and-set changed nothing. */
  async function refusal(hub: string, deviceId: string): Promise<ServiceError> {
    return (await get(hub, deviceId)) === undefined
      ? new ServiceError('DeviceNotFound', `There is no device "${deviceId}".`)
      : new ServiceError('PreconditionFailed', `The device "${deviceId}" was changed by someone else.`);
  }

  return {
    get,
    list: (hub, page, only) => list(db, { hub, only }, page),
    async modulesOf(hub, deviceId) {
      const { rows } = await selectModules(db, { hubKey: keyOf(hub), deviceId });
      const owner = rows.length === 0 ? undefined : await get(hub, deviceId);
      return owner === undefined ? [] : rows.map((row) => moduleFrom(row, owner));
    },
    byScope: (hub, scope) => byScope(db, hub, scope),
    byThumbprint: (thumbprint) => byThumbprint(db, thumbprint),
    async insert(device) {
      const { numAffectedRows } = await insertDevice(db, { device: deviceColumnsOf(device) });
      if (numAffectedRows === 0n) throw new ServiceError('DeviceAlreadyExists', `The device "${device.deviceId}" exists already.`);
    },
    async replace(device, expectedEtagCounter) {
      const { hub_key, device_id, hub: _hub, ...changed } = deviceColumnsOf(device);
      const { numAffectedRows } = await updateDevice(db, { hubKey: hub_key, deviceId: device_id, changed, expectedEtagCounter });
      if (numAffectedRows === 0n) throw await refusal(device.hub, device.deviceId);
    },
    async delete(hub, deviceId, expectedEtagCounter) {
      // The twins go with them: their foreign keys cascade.
      const { numDeletedRows } = await db
        .deleteFrom('device')
        .where('hub_key', '=', keyOf(hub))
        .where('device_id', '=', deviceId)
        .$if(expectedEtagCounter !== undefined, (query) => query.where('etag_counter', '=', expectedEtagCounter as number))
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw await refusal(hub, deviceId);
      await deleteModules(db, { hubKey: keyOf(hub), deviceId });
    },
  };
}

async function list(
  db: SqlExecutor,
  { hub, only }: { readonly hub: string; readonly only: 'edge' | undefined },
  page: PageRequest,
): Promise<Page<DeviceRow>> {
  const { after } = page;
  const rows = await db
    .selectFrom('device')
    .select(deviceColumns)
    .where('hub_key', '=', keyOf(hub))
    .where('module_of', 'is', null)
    .$if(only === 'edge', (query) => query.where('iot_edge', '=', 1))
    .$if(after !== undefined, (query) => query.where('device_id', '>', after as string))
    .orderBy('device_id')
    .limit(probeLimit(page))
    .execute();
  return pageOf(rows, page, { key: (row) => row.device_id, item: deviceFrom });
}

async function byScope(db: SqlExecutor, hub: string, scope: string): Promise<DeviceRow | undefined> {
  const row = await db
    .selectFrom('device')
    .select(deviceColumns)
    .where('hub_key', '=', keyOf(hub))
    .where('device_scope', '=', scope)
    .where('iot_edge', '=', 1)
    .executeTakeFirst();
  return row && deviceFrom(row);
}

async function byThumbprint(db: SqlExecutor, thumbprint: string): Promise<readonly DeviceRow[]> {
  const rows = await db
    .selectFrom('device')
    .select(deviceColumns)
    .where('module_of', 'is', null)
    .where((eb) => eb.or([eb('primary_thumbprint', '=', thumbprint), eb('secondary_thumbprint', '=', thumbprint)]))
    .orderBy('hub_key')
    .orderBy('device_id')
    .limit(found)
    .execute();
  return rows.map(deviceFrom);
}

function deviceFrom(row: DeviceTable): DeviceRow {
  return {
    hub: row.hub,
    deviceId: row.device_id,
    generationId: row.generation_id,
    etagCounter: row.etag_counter,
    status: row.status,
    authentication: {
      type: row.authentication_type,
      ...withoutNulls({
        primaryKey: row.primary_key,
        secondaryKey: row.secondary_key,
        primaryThumbprint: row.primary_thumbprint,
        secondaryThumbprint: row.secondary_thumbprint,
      }),
    },
    iotEdge: row.iot_edge === 1,
    createdAt: row.created_at,
    ...withoutNulls({
      statusReason: row.status_reason,
      statusUpdatedAt: row.status_updated_at,
      managedBy: row.managed_by,
      deviceScope: row.device_scope,
      parentScope: row.parent_scope,
    }),
    ...(row.provisioned === 1 ? { provisioned: true } : {}),
  };
}

/** With the status of its device. */
function moduleFrom(row: DeviceTable, { status, statusReason, statusUpdatedAt }: DeviceRow): DeviceRow {
  return {
    ...deviceFrom(row),
    status,
    ...(statusReason === undefined ? {} : { statusReason }),
    ...(statusUpdatedAt === undefined ? {} : { statusUpdatedAt }),
  };
}

function deviceColumnsOf(device: DeviceRow): DeviceTable {
  const { authentication } = device;
  return {
    hub_key: keyOf(device.hub),
    device_id: device.deviceId,
    hub: device.hub,
    generation_id: device.generationId,
    etag_counter: device.etagCounter,
    status: device.status,
    status_reason: device.statusReason ?? null,
    status_updated_at: device.statusUpdatedAt ?? null,
    authentication_type: authentication.type,
    primary_key: authentication.primaryKey ?? null,
    secondary_key: authentication.secondaryKey ?? null,
    primary_thumbprint: authentication.primaryThumbprint ?? null,
    secondary_thumbprint: authentication.secondaryThumbprint ?? null,
    iot_edge: flagOf(device.iotEdge),
    created_at: device.createdAt,
    provisioned: flagOf(device.provisioned === true),
    ...ownershipOf(device),
  };
}

/** The status of a module is its device's; none of its own is kept. */
function ownershipOf({ deviceId, managedBy, deviceScope, parentScope }: DeviceRow) {
  const ids = idsOf(deviceId);
  return {
    module_of: ids.moduleId === undefined ? null : ids.deviceId,
    managed_by: managedBy ?? null,
    device_scope: deviceScope ?? null,
    parent_scope: parentScope ?? null,
  };
}
