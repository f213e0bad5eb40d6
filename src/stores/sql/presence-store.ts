import type { IdentityPath } from '../../contracts/hub/identity-path.ts';
import type { PresenceRow, PresenceStore } from '../../hub/ports.ts';
import { flagOf, keyOf, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { PresenceTable } from './presence-table.ts';
import type { SqlExecutor } from './schema.ts';

/** A connection that nobody closed. */
const connected = flagOf(true);

/** Rows of one statement: few different statements, far below the parameters that any database takes. */
const rowsPerStatement = 100;

const selectSeen = prepare((db, at: { readonly hubKey: string; readonly paths: readonly IdentityPath[] }) =>
  db
    .selectFrom('presence')
    .select(['device_id', 'connection_changed_at', 'active_at'])
    .where('hub_key', '=', at.hubKey)
    .where('device_id', 'in', at.paths),
);

const selectKnown = prepare((db, at: { readonly hubKey: string; readonly paths: readonly IdentityPath[] }) =>
  db.selectFrom('device').select('device_id').where('hub_key', '=', at.hubKey).where('device_id', 'in', at.paths),
);

const upsert = prepare((db, { rows }: { readonly rows: readonly PresenceTable[] }) =>
  db
    .insertInto('presence')
    .values([...rows])
    .onConflict((conflict) =>
      conflict.columns(['hub_key', 'device_id']).doUpdateSet((eb) => {
        const changedAt = eb.fn.coalesce('excluded.connection_changed_at', 'presence.connection_changed_at');
        // Processes write of one device in the order of their commits, which need not be that of what they saw.
        const isOlder = eb('presence.connection_changed_at', '>', changedAt);
        return {
          connected: eb.case().when(isOlder).then(eb.ref('presence.connected')).else(eb.ref('excluded.connected')).end(),
          connection_changed_at: eb.case().when(isOlder).then(eb.ref('presence.connection_changed_at')).else(changedAt).end(),
          active_at: eb.fn.coalesce('excluded.active_at', 'presence.active_at'),
        };
      }),
    ),
);

export function createSqlPresenceStore(db: SqlExecutor): PresenceStore {
  return {
    async find(hub, paths) {
      if (paths.length === 0) return new Map();
      const { rows } = await selectSeen(db, { hubKey: keyOf(hub), paths });
      return new Map(
        rows.map((row) => [row.device_id, withoutNulls({ connectionChangedAt: row.connection_changed_at, activeAt: row.active_at })]),
      );
    },
    async put(rows) {
      for (const hubKey of new Set(rows.map(({ hub }) => keyOf(hub)))) {
        const ofHub = rows.filter(({ hub }) => keyOf(hub) === hubKey);
        for (let start = 0; start < ofHub.length; start += rowsPerStatement) {
          await putSome(db, hubKey, ofHub.slice(start, start + rowsPerStatement));
        }
      }
    },
    async endConnections(at) {
      const { numUpdatedRows } = await db
        .updateTable('presence')
        .set({ connected: flagOf(false), connection_changed_at: at })
        .where('connected', '=', connected)
        .executeTakeFirstOrThrow();
      return Number(numUpdatedRows);
    },
  };
}

/** An identity may have gone since it was seen; then there is nothing to write beside it. */
async function putSome(db: SqlExecutor, hubKey: string, rows: readonly PresenceRow[]): Promise<void> {
  const found = await selectKnown(db, { hubKey, paths: rows.map(({ deviceId }) => deviceId) });
  const known = new Set(found.rows.map((row) => row.device_id));
  const columns = rows.filter(({ deviceId }) => known.has(deviceId)).map((row) => columnsOf(hubKey, row));
  if (columns.length > 0) await upsert(db, { rows: columns });
}

function columnsOf(hubKey: string, row: PresenceRow): PresenceTable {
  return {
    hub_key: hubKey,
    device_id: row.deviceId,
    connected: flagOf(row.connected),
    connection_changed_at: row.connectionChangedAt ?? null,
    active_at: row.activeAt ?? null,
  };
}
