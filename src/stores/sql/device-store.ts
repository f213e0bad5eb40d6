import type { DeviceRow, DeviceStore } from '../../hub/ports.ts';
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
] as const satisfies readonly (keyof DeviceTable)[];

/** As many identities as share one certificate at most, in one answer. */
const found = 100;

const selectDevice = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.selectFrom('device').select(deviceColumns).where('hub_key', '=', at.hubKey).where('device_id', '=', at.deviceId),
);

const insertDevice = prepare((db, { device }: { readonly device: DeviceTable }) =>
  db
    .insertInto('device')
    .values(device)
    .onConflict((conflict) => conflict.doNothing()),
);

export function createSqlDeviceStore(db: SqlExecutor): DeviceStore {
  async function get(hub: string, deviceId: string): Promise<DeviceRow | undefined> {
    const {
      rows: [row],
    } = await selectDevice(db, { hubKey: keyOf(hub), deviceId });
    return row && deviceFrom(row);
  }

  /** Why a compare-and-set changed nothing. */
  async function refusal(hub: string, deviceId: string): Promise<ServiceError> {
    return (await get(hub, deviceId)) === undefined
      ? new ServiceError('DeviceNotFound', `There is no device "${deviceId}".`)
      : new ServiceError('PreconditionFailed', `The device "${deviceId}" was changed by someone else.`);
  }

  return {
    get,
    async list(hub, page) {
      const { after } = page;
      const rows = await db
        .selectFrom('device')
        .select(deviceColumns)
        .where('hub_key', '=', keyOf(hub))
        .$if(after !== undefined, (query) => query.where('device_id', '>', after as string))
        .orderBy('device_id')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, { key: (row) => row.device_id, item: deviceFrom });
    },
    byThumbprint: (thumbprint) => byThumbprint(db, thumbprint),
    async insert(device) {
      const { numAffectedRows } = await insertDevice(db, { device: deviceColumnsOf(device) });
      if (numAffectedRows === 0n) throw new ServiceError('DeviceAlreadyExists', `The device "${device.deviceId}" exists already.`);
    },
    async replace(device, expectedEtagCounter) {
      const { hub_key, device_id, hub: _hub, ...changed } = deviceColumnsOf(device);
      const { numUpdatedRows } = await db
        .updateTable('device')
        .set(changed)
        .where('hub_key', '=', hub_key)
        .where('device_id', '=', device_id)
        .$if(expectedEtagCounter !== undefined, (query) => query.where('etag_counter', '=', expectedEtagCounter as number))
        .executeTakeFirstOrThrow();
      if (numUpdatedRows === 0n) throw await refusal(device.hub, device.deviceId);
    },
    async delete(hub, deviceId, expectedEtagCounter) {
      // The twin goes with it: its foreign key cascades.
      const { numDeletedRows } = await db
        .deleteFrom('device')
        .where('hub_key', '=', keyOf(hub))
        .where('device_id', '=', deviceId)
        .$if(expectedEtagCounter !== undefined, (query) => query.where('etag_counter', '=', expectedEtagCounter as number))
        .executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw await refusal(hub, deviceId);
    },
  };
}

async function byThumbprint(db: SqlExecutor, thumbprint: string): Promise<readonly DeviceRow[]> {
  const rows = await db
    .selectFrom('device')
    .select(deviceColumns)
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
    ...withoutNulls({ statusReason: row.status_reason, statusUpdatedAt: row.status_updated_at }),
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
  };
}
