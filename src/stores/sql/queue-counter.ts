import type { SqlExecutor } from './schema.ts';

/** Whose numbers are counted. */
export interface Counted {
  readonly hubKey: string;
  readonly queue: string;
  readonly deviceId: string | null;
}

/** The next number of a queue, from 1; the row's lock keeps two writers apart. */
export async function nextNumber(db: SqlExecutor, { hubKey, queue, deviceId }: Counted): Promise<number> {
  const { last_number } = await db
    .insertInto('queue_counter')
    .values({ hub_key: hubKey, queue, device_id: deviceId, last_number: 1 })
    .onConflict((conflict) =>
      conflict.columns(['hub_key', 'queue']).doUpdateSet((eb) => ({ last_number: eb('queue_counter.last_number', '+', 1) })),
    )
    .returning('last_number')
    .executeTakeFirstOrThrow();
  return last_number;
}
