import type { SelectQueryBuilder } from 'kysely';

import type { RefusalFilter, RefusalRow, RefusalStore } from '../../refusals/ports.ts';
import type { RefusalTable } from './audit-schema.ts';
import { keyOf } from './columns.ts';
import type { SqlExecutor, SqlTables } from './schema.ts';

const counterRow = 1;

export function createSqlRefusalStore(db: SqlExecutor): RefusalStore {
  return { ...writing(db), ...reading(db) };
}

type Reading = Pick<RefusalStore, 'after' | 'newest' | 'bounds'>;

function reading(db: SqlExecutor): Reading {
  return {
    async after(after, { limit, filter = {} }) {
      const rows = await filtered(db.selectFrom('refusal').selectAll(), filter)
        .where('sequence', '>', after)
        .orderBy('sequence')
        .limit(limit)
        .execute();
      return rows.map(refusalFrom);
    },
    async newest({ limit, before, filter = {} }) {
      const rows = await filtered(db.selectFrom('refusal').selectAll(), filter)
        .$if(before !== undefined, (query) => query.where('sequence', '<', before ?? 0))
        .orderBy('sequence', 'desc')
        .limit(limit)
        .execute();
      return rows.map(refusalFrom);
    },
    async bounds() {
      const last = (await db.selectFrom('refusal_counter').select('last_sequence').executeTakeFirst())?.last_sequence ?? 0;
      const first = await db.selectFrom('refusal').select('sequence').orderBy('sequence').limit(1).executeTakeFirst();
      return { first: first?.sequence ?? last + 1, last };
    },
  };
}

type RefusalQuery = SelectQueryBuilder<SqlTables, 'refusal', RefusalTable>;

function filtered(query: RefusalQuery, { deviceId, transport, side, since }: RefusalFilter): RefusalQuery {
  let rest = query;
  if (deviceId !== undefined) rest = rest.where('device_key', '=', keyOf(deviceId));
  if (transport !== undefined) rest = rest.where('transport', '=', transport);
  if (side !== undefined) rest = rest.where('side', '=', side);
  return since === undefined ? rest : rest.where('at', '>=', since);
}

function writing(db: SqlExecutor): Omit<RefusalStore, keyof Reading> {
  return {
    async append({ deny: _deny, ...row }) {
      const { last_sequence: sequence } = await db
        .insertInto('refusal_counter')
        .values({ id: counterRow, last_sequence: 1 })
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet((eb) => ({ last_sequence: eb('refusal_counter.last_sequence', '+', 1) })),
        )
        .returning('last_sequence')
        .executeTakeFirstOrThrow();
      await db
        .insertInto('refusal')
        .values(columnsOf({ ...row, sequence }))
        .execute();
      return sequence;
    },
    async prune({ before, keep }) {
      const newestToGo = await db
        .selectFrom('refusal')
        .select('sequence')
        .orderBy('sequence', 'desc')
        .limit(1)
        .offset(keep)
        .executeTakeFirst();
      const { numDeletedRows } = await db
        .deleteFrom('refusal')
        .where((eb) => eb.or([eb('at', '<', before), ...(newestToGo === undefined ? [] : [eb('sequence', '<=', newestToGo.sequence)])]))
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}

function refusalFrom({ tracking_id: trackingId, device_id: deviceId, device_key: _key, ...row }: RefusalTable): RefusalRow {
  return { ...row, deviceId, trackingId };
}

function columnsOf({ trackingId, deviceId, ...row }: RefusalRow): RefusalTable {
  return { ...row, device_id: deviceId, device_key: keyOf(deviceId), tracking_id: trackingId };
}
