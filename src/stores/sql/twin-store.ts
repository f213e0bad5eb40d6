import type { TwinRow, TwinStore } from '../../hub/ports.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { jsonText, keyOf, parseJson, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { SqlExecutor, TwinTable } from './schema.ts';

const twinColumns = [
  'hub_key',
  'device_id',
  'hub',
  'etag_counter',
  'version',
  'tags',
  'desired_version',
  'desired_properties',
  'desired_metadata',
  'reported_version',
  'reported_properties',
  'reported_metadata',
  'model_id',
] as const satisfies readonly (keyof TwinTable)[];

const selectTwin = prepare((db, at: { readonly hubKey: string; readonly deviceId: string }) =>
  db.selectFrom('twin').select(twinColumns).where('hub_key', '=', at.hubKey).where('device_id', '=', at.deviceId),
);

const insertTwin = prepare((db, { twin }: { readonly twin: TwinTable }) =>
  db
    .insertInto('twin')
    .values(twin)
    .onConflict((conflict) => conflict.doNothing()),
);

type TwinChange = Omit<TwinTable, 'hub_key' | 'device_id' | 'hub'>;

const updateTwin = prepare(
  (db, at: { readonly hubKey: string; readonly deviceId: string; readonly version: number; readonly changed: TwinChange }) =>
    db
      .updateTable('twin')
      .set(at.changed)
      .where('hub_key', '=', at.hubKey)
      .where('device_id', '=', at.deviceId)
      .where('version', '=', at.version),
);

export function createSqlTwinStore(db: SqlExecutor): TwinStore {
  async function get(hub: string, deviceId: string): Promise<TwinRow | undefined> {
    const {
      rows: [row],
    } = await selectTwin(db, { hubKey: keyOf(hub), deviceId });
    return row && twinFrom(row);
  }

  return {
    get,
    async insert(twin) {
      const { numAffectedRows } = await insertTwin(db, { twin: twinColumnsOf(twin) });
      if (numAffectedRows === 0n) throw new ServiceError('DeviceAlreadyExists', `The device "${twin.deviceId}" has a twin already.`);
    },
    async replace(twin, expectedVersion) {
      const { hub_key: hubKey, device_id: deviceId, hub: _hub, ...changed } = twinColumnsOf(twin);
      const { numAffectedRows } = await updateTwin(db, { hubKey, deviceId, version: expectedVersion, changed });
      if (numAffectedRows !== 0n) return;
      throw (await get(twin.hub, twin.deviceId)) === undefined
        ? new ServiceError('DeviceNotFound', `There is no device "${twin.deviceId}".`)
        : new ServiceError('PreconditionFailed', `The twin of "${twin.deviceId}" was changed by someone else.`);
    },
  };
}

function twinFrom(row: TwinTable): TwinRow {
  return {
    hub: row.hub,
    deviceId: row.device_id,
    etagCounter: row.etag_counter,
    version: row.version,
    tags: parseJson(row.tags),
    desired: {
      version: row.desired_version,
      properties: parseJson(row.desired_properties),
      metadata: parseJson(row.desired_metadata),
    },
    reported: {
      version: row.reported_version,
      properties: parseJson(row.reported_properties),
      metadata: parseJson(row.reported_metadata),
    },
    ...withoutNulls({ modelId: row.model_id }),
  };
}

function twinColumnsOf(twin: TwinRow): TwinTable {
  return {
    hub_key: keyOf(twin.hub),
    device_id: twin.deviceId,
    hub: twin.hub,
    etag_counter: twin.etagCounter,
    version: twin.version,
    tags: jsonText(twin.tags),
    desired_version: twin.desired.version,
    desired_properties: jsonText(twin.desired.properties),
    desired_metadata: jsonText(twin.desired.metadata),
    reported_version: twin.reported.version,
    reported_properties: jsonText(twin.reported.properties),
    reported_metadata: jsonText(twin.reported.metadata),
    model_id: twin.modelId ?? null,
  };
}
