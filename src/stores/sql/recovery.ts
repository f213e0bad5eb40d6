import type { Instant } from '../../kernel/clock.ts';
import type { SqlExecutor } from './schema.ts';

const stateRow = 1;

/** Marks the store as open and returns whether its last user had closed it. A new store counts as closed. */
export async function markOpen(db: SqlExecutor, now: Instant): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const state = await trx.selectFrom('store_state').select('clean_shutdown').where('id', '=', stateRow).executeTakeFirst();
    await markState(trx, { clean: false, now });
    return state === undefined || state.clean_shutdown === 1;
  });
}

/** The last write of an orderly shutdown. */
export async function markClosed(db: SqlExecutor, now: Instant): Promise<void> {
  await markState(db, { clean: true, now });
}

async function markState(db: SqlExecutor, { clean, now }: { readonly clean: boolean; readonly now: Instant }): Promise<void> {
  const state = { clean_shutdown: clean ? 1 : 0, changed_at: now };
  await db
    .insertInto('store_state')
    .values({ id: stateRow, ...state })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(state))
    .execute();
}
