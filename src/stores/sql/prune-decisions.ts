import type { Instant } from '../../kernel/clock.ts';
import type { SqlExecutor } from './schema.ts';

/** Removes the decisions before a moment, then all but the newest `keep`; returns how many. Both tables have an index for it. */
export async function pruneDecisions(
  db: SqlExecutor,
  table: 'decision' | 'hub_decision',
  { before, keep }: { readonly before: Instant; readonly keep: number },
): Promise<number> {
  const old = await db.deleteFrom(table).where('decided_at', '<', before).executeTakeFirstOrThrow();
  const newestToGo = await db
    .selectFrom(table)
    .select(['decided_at', 'tracking_id'])
    .orderBy('decided_at', 'desc')
    .orderBy('tracking_id', 'desc')
    .limit(1)
    .offset(keep)
    .executeTakeFirst();
  if (newestToGo === undefined) return Number(old.numDeletedRows);
  const { decided_at, tracking_id } = newestToGo;
  const surplus = await db
    .deleteFrom(table)
    .where((eb) =>
      eb.or([eb('decided_at', '<', decided_at), eb.and([eb('decided_at', '=', decided_at), eb('tracking_id', '<=', tracking_id)])]),
    )
    .executeTakeFirstOrThrow();
  return Number(old.numDeletedRows + surplus.numDeletedRows);
}
