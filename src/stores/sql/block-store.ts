import type { Block, Selector } from '../../blocks/block.ts';
import type { BlockStore } from '../../blocks/ports.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { pageOf, probeLimit, withoutNulls } from './columns.ts';
import { prepare } from './prepared.ts';
import type { BlockSelectorTable, BlockTable, SqlExecutor } from './schema.ts';

const columns = [
  'block_id',
  'reason',
  'ticket',
  'created_by',
  'created_at',
  'expires_at',
  'receipt_id',
  'readmit_until',
  'readmitted_at',
  'expiry_noted_at',
] as const satisfies readonly (keyof BlockTable)[];

const selectMatching = prepare((db, { keys }: { readonly keys: readonly BlockSelectorTable['selector_key'][] }) =>
  db
    .selectFrom('block')
    .select(columns)
    .where('block_id', 'in', (query) => query.selectFrom('block_selector').select('block_id').where('selector_key', 'in', keys))
    .orderBy('block_id'),
);

export function createSqlBlockStore(db: SqlExecutor): BlockStore {
  return { ...reading(db), ...writing(db) };
}

type Reading = Pick<BlockStore, 'get' | 'list' | 'matching' | 'ended'>;

function reading(db: SqlExecutor): Reading {
  /** Rows with their selectors, in the order of the rows. */
  async function complete(rows: readonly BlockTable[]): Promise<readonly Block[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.block_id);
    const found = await db.selectFrom('block_selector').selectAll().where('block_id', 'in', ids).orderBy('ordinal').execute();
    return rows.map((row) => {
      const own = found.filter((selector) => selector.block_id === row.block_id);
      return blockFrom(
        row,
        own.map(({ kind, value, selector_key }) => ({ kind, value, key: selector_key })),
      );
    });
  }

  return {
    async get(id) {
      const rows = await db.selectFrom('block').select(columns).where('block_id', '=', id).execute();
      return (await complete(rows))[0];
    },
    async list(page) {
      const { after } = page;
      const rows = await db
        .selectFrom('block')
        .select(columns)
        .$if(after !== undefined, (query) => query.where('block_id', '>', after as string))
        .orderBy('block_id')
        .limit(probeLimit(page))
        .execute();
      const { items, ...rest } = pageOf(rows, page, { key: (row) => row.block_id, item: (row) => row });
      return { items: await complete(items), ...rest };
    },
    async matching(keys) {
      if (keys.length === 0) return [];
      const { rows } = await selectMatching(db, { keys });
      return await complete(rows);
    },
    async ended({ now, limit }) {
      const rows = await db
        .selectFrom('block')
        .select(columns)
        .where('expires_at', '<=', now)
        .where('expiry_noted_at', 'is', null)
        .orderBy('expires_at')
        .limit(limit)
        .execute();
      return await complete(rows);
    },
  };
}

function writing(db: SqlExecutor): Omit<BlockStore, keyof Reading> {
  async function update(id: string, changed: Partial<BlockTable>): Promise<void> {
    const { numUpdatedRows } = await db.updateTable('block').set(changed).where('block_id', '=', id).executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw noBlock(id);
  }

  return {
    async insert({ selectors, ...block }) {
      await db.insertInto('block').values(columnsOf(block)).execute();
      const rows = selectors.map(({ kind, value, key }, ordinal) => ({ selector_key: key, block_id: block.id, kind, value, ordinal }));
      await db.insertInto('block_selector').values(rows).execute();
    },
    async delete(id) {
      const { numDeletedRows } = await db.deleteFrom('block').where('block_id', '=', id).executeTakeFirstOrThrow();
      if (numDeletedRows === 0n) throw noBlock(id);
    },
    setReadmission: (id, readmission) =>
      update(id, { readmit_until: readmission?.until ?? null, readmitted_at: readmission?.usedAt ?? null }),
    noteEnd: (id, at) => update(id, { expiry_noted_at: at }),
    async useReadmission(id, at) {
      const { numUpdatedRows } = await db
        .updateTable('block')
        .set({ readmitted_at: at })
        .where('block_id', '=', id)
        .where('readmit_until', '>', at)
        .where('readmitted_at', 'is', null)
        .executeTakeFirstOrThrow();
      return numUpdatedRows > 0n;
    },
  };
}

function noBlock(id: string): ServiceError {
  return new ServiceError('ResourceNotFound', `There is no block '${id}'.`);
}

function blockFrom(row: BlockTable, selectors: readonly Selector[]): Block {
  const readmission = row.readmit_until === null ? null : { until: row.readmit_until, ...withoutNulls({ usedAt: row.readmitted_at }) };
  return {
    id: row.block_id,
    selectors,
    reason: row.reason,
    createdBy: row.created_by,
    createdAt: row.created_at,
    ...withoutNulls({
      ticket: row.ticket,
      expiresAt: row.expires_at,
      receiptId: row.receipt_id,
      readmission,
      endNotedAt: row.expiry_noted_at,
    }),
  };
}

function columnsOf(block: Omit<Block, 'selectors'>): BlockTable {
  return {
    block_id: block.id,
    reason: block.reason,
    ticket: block.ticket ?? null,
    created_by: block.createdBy,
    created_at: block.createdAt,
    expires_at: block.expiresAt ?? null,
    receipt_id: block.receiptId ?? null,
    readmit_until: block.readmission?.until ?? null,
    readmitted_at: block.readmission?.usedAt ?? null,
    expiry_noted_at: block.endNotedAt ?? null,
  };
}
