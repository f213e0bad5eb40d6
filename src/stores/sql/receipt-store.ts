import type { ReceiptRow, ReceiptStore } from '../../fleet/ports.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { jsonText, keyOf, parseJson, parseJsonOrNull, withoutNulls } from './columns.ts';
import type { ReceiptTable, SqlExecutor } from './schema.ts';

const columns = [
  'receipt_id',
  'kind',
  'device',
  'device_key',
  'created_by',
  'created_at',
  'body',
  'undo',
  'undone_by',
] as const satisfies readonly (keyof ReceiptTable)[];

export function createSqlReceiptStore(db: SqlExecutor): ReceiptStore {
  return {
    async get(id) {
      const row = await db.selectFrom('receipt').select(columns).where('receipt_id', '=', id).executeTakeFirst();
      return row && receiptFrom(row);
    },
    async list({ limit, device }) {
      const rows = await db
        .selectFrom('receipt')
        .select(columns)
        .$if(device !== undefined, (query) => query.where('device_key', '=', keyOf(device as string)))
        .orderBy('receipt_id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(receiptFrom);
    },
    async insert(row) {
      await db
        .insertInto('receipt')
        .values({
          receipt_id: row.id,
          kind: row.kind,
          device: row.device,
          device_key: keyOf(row.device),
          created_by: row.createdBy,
          created_at: row.createdAt,
          body: jsonText(row.body),
          undo: row.undo === undefined ? null : jsonText(row.undo),
          undone_by: row.undoneBy ?? null,
        })
        .execute();
    },
    async amend(id, body) {
      const { numUpdatedRows } = await db
        .updateTable('receipt')
        .set({ body: jsonText(body) })
        .where('receipt_id', '=', id)
        .executeTakeFirstOrThrow();
      if (numUpdatedRows === 0n) throw new ServiceError('ResourceNotFound', `There is no receipt '${id}'.`);
    },
    async markUndone(id, by) {
      const { numUpdatedRows } = await db
        .updateTable('receipt')
        .set({ undone_by: by, undo: null })
        .where('receipt_id', '=', id)
        .where('undone_by', 'is', null)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  };
}

function receiptFrom(row: ReceiptTable): ReceiptRow {
  return {
    id: row.receipt_id,
    kind: row.kind,
    device: row.device,
    createdBy: row.created_by,
    createdAt: row.created_at,
    body: parseJson(row.body),
    ...withoutNulls({ undo: parseJsonOrNull(row.undo), undoneBy: row.undone_by }),
  };
}
