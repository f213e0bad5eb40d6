import type { FeedbackStore } from '../../hub/ports.ts';
import { jsonText, keyOf, parseJson } from './columns.ts';
import { nextNumber } from './queue-counter.ts';
import type { SqlExecutor } from './schema.ts';

/** The counter of records, beside those of the queues; no queue has this name. */
const counterName = 'feedback-records';

export function createSqlFeedbackStore(db: SqlExecutor): FeedbackStore {
  return {
    async append(hub, { recordedAt, record }) {
      const hubKey = keyOf(hub);
      const recordNumber = await nextNumber(db, { hubKey, queue: counterName, deviceId: null });
      await db
        .insertInto('feedback_record')
        .values({ hub_key: hubKey, record_number: recordNumber, recorded_at: recordedAt, record: jsonText({ ...record }) })
        .execute();
    },
    async oldest(hub, limit) {
      const rows = await db
        .selectFrom('feedback_record')
        .select(['record_number', 'recorded_at', 'record'])
        .where('hub_key', '=', keyOf(hub))
        .orderBy('record_number')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ recordNumber: row.record_number, recordedAt: row.recorded_at, record: parseJson(row.record) }));
    },
    async removeThrough(hub, recordNumber) {
      await db.deleteFrom('feedback_record').where('hub_key', '=', keyOf(hub)).where('record_number', '<=', recordNumber).execute();
    },
    async forget(before) {
      const { numDeletedRows } = await db.deleteFrom('feedback_record').where('recorded_at', '<', before).executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
  };
}
