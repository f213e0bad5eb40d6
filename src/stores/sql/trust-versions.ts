import { randomInt } from 'node:crypto';

import { prepare } from './prepared.ts';
import type { SqlExecutor } from './schema.ts';

const selectVersion = prepare((db, at: { readonly nameKey: string }) =>
  db.selectFrom('provisioning_instance').select('trust_version').where('name_key', '=', at.nameKey),
);

/** Of how many numbers the next one is drawn: by chance, two processes never take the same, and 2^53 is millions of changes away. */
const step = 2 ** 31;

/**
 * Gives the trust anchors of an instance a number above every one that they had. One number never names two states: a change that
 * was rolled back had another number than the one after it, in whatever process, or a cache that was filled inside it would
 * pass as the next change's.
 */
export async function advanceTrustVersion(db: SqlExecutor, instanceKey: string): Promise<void> {
  const next = (await readTrustVersion(db, instanceKey)) + 1 + randomInt(step);
  await db.updateTable('provisioning_instance').set({ trust_version: next }).where('name_key', '=', instanceKey).execute();
}

/** 0 before the first change, and for an instance that does not exist. */
export async function readTrustVersion(db: SqlExecutor, instanceKey: string): Promise<number> {
  const {
    rows: [row],
  } = await selectVersion(db, { nameKey: instanceKey });
  return row?.trust_version ?? 0;
}
