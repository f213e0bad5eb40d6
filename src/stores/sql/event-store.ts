import type { EventRow, EventStore } from '../../events/ports.ts';
import { jsonText, parseJson } from './columns.ts';
import type { EventTable } from './event-schema.ts';
import type { SqlExecutor } from './schema.ts';

const stateRow = 1;

export function createSqlEventStore(db: SqlExecutor): EventStore {
  return {
    async append({ at, kind, data }) {
      const { last_sequence: sequence } = await db
        .insertInto('event_state')
        .values({ id: stateRow, last_sequence: 1, delivered_sequence: 0 })
        .onConflict((conflict) => conflict.column('id').doUpdateSet((eb) => ({ last_sequence: eb('event_state.last_sequence', '+', 1) })))
        .returning('last_sequence')
        .executeTakeFirstOrThrow();
      await db
        .insertInto('event')
        .values({ sequence, at, kind, data: jsonText(data) })
        .execute();
      return sequence;
    },
    async after(after, limit) {
      const rows = await db.selectFrom('event').selectAll().where('sequence', '>', after).orderBy('sequence').limit(limit).execute();
      return rows.map(eventFrom);
    },
    async newest({ limit, before, kind }) {
      let query = db.selectFrom('event').selectAll();
      if (before !== undefined) query = query.where('sequence', '<', before);
      if (kind !== undefined) query = query.where('kind', '=', kind);
      return (await query.orderBy('sequence', 'desc').limit(limit).execute()).map(eventFrom);
    },
    async delivered() {
      return (await db.selectFrom('event_state').select('delivered_sequence').executeTakeFirst())?.delivered_sequence ?? 0;
    },
    async markDelivered(sequence) {
      await db.updateTable('event_state').set({ delivered_sequence: sequence }).where('delivered_sequence', '<', sequence).execute();
    },
    async prune({ before, keep }) {
      const newestToGo = await db
        .selectFrom('event')
        .select('sequence')
        .orderBy('sequence', 'desc')
        .limit(1)
        .offset(keep)
        .executeTakeFirst();
      const { numDeletedRows } = await db
        .deleteFrom('event')
        .where((eb) => eb.or([eb('at', '<', before), ...(newestToGo === undefined ? [] : [eb('sequence', '<=', newestToGo.sequence)])]))
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}

function eventFrom({ data, ...row }: EventTable): EventRow {
  return { ...row, data: parseJson(data) };
}
