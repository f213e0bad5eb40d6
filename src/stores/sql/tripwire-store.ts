import type { TripwireRow, TripwireStore } from '../../fleet/ports.ts';
import { jsonText, keyOf, pageOf, parseJson, probeLimit } from './columns.ts';
import type { TripwireTable } from './event-schema.ts';
import type { SqlExecutor } from './schema.ts';

export function createSqlTripwireStore(db: SqlExecutor): TripwireStore {
  return {
    async get(device) {
      const row = await db.selectFrom('tripwire').selectAll().where('device_key', '=', keyOf(device)).executeTakeFirst();
      return row && tripwireFrom(row);
    },
    async put(row) {
      const values = columnsOf(row);
      await db
        .insertInto('tripwire')
        .values(values)
        .onConflict((conflict) => conflict.column('device_key').doUpdateSet(values))
        .execute();
    },
    async list(page) {
      const [, at = '', key = ''] = /^(\d+)\/(.*)$/su.exec(page.after ?? '') ?? [];
      const rows = await db
        .selectFrom('tripwire')
        .selectAll()
        .$if(page.after !== undefined, (query) =>
          query.where((eb) =>
            eb.or([
              eb('last_at', '<', Number(at) as TripwireTable['last_at']),
              eb.and([eb('last_at', '=', Number(at) as TripwireTable['last_at']), eb('device_key', '<', key)]),
            ]),
          ),
        )
        .orderBy('last_at', 'desc')
        .orderBy('device_key', 'desc')
        .limit(probeLimit(page))
        .execute();
      return pageOf(rows, page, { key: (row) => `${row.last_at}/${row.device_key}`, item: tripwireFrom });
    },
    async prune({ before, keep }) {
      const newestToGo = await db
        .selectFrom('tripwire')
        .select(['last_at', 'device_key'])
        .orderBy('last_at', 'desc')
        .orderBy('device_key', 'desc')
        .limit(1)
        .offset(keep)
        .executeTakeFirst();
      const { numDeletedRows } = await db
        .deleteFrom('tripwire')
        .where((eb) =>
          eb.or([
            eb('last_at', '<', before),
            ...(newestToGo === undefined
              ? []
              : [
                  eb('last_at', '<', newestToGo.last_at),
                  eb.and([eb('last_at', '=', newestToGo.last_at), eb('device_key', '<=', newestToGo.device_key)]),
                ]),
          ]),
        )
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}

function columnsOf({ device, deny, firstAt, lastAt, attempts, proven, doors, addresses, trackingId }: TripwireRow): TripwireTable {
  return {
    device_key: keyOf(device),
    device,
    deny_kind: deny.kind,
    deny_id: deny.id,
    first_at: firstAt,
    last_at: lastAt,
    attempts,
    proven,
    doors: jsonText(doors.map((door) => ({ ...door }))) as TripwireTable['doors'],
    addresses: jsonText([...addresses]) as TripwireTable['addresses'],
    tracking_id: trackingId,
  };
}

function tripwireFrom(row: TripwireTable): TripwireRow {
  return {
    device: row.device,
    deny: { kind: row.deny_kind, id: row.deny_id },
    firstAt: row.first_at,
    lastAt: row.last_at,
    attempts: row.attempts,
    proven: row.proven,
    doors: parseJson(row.doors),
    addresses: parseJson(row.addresses),
    trackingId: row.tracking_id,
  };
}
