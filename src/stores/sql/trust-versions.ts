import { prepare } from './prepared.ts';
import type { SqlExecutor } from './schema.ts';

const selectVersion = prepare((db, at: { readonly nameKey: string }) =>
  db.selectFrom('provisioning_instance').select('trust_version').where('name_key', '=', at.nameKey),
);

/**
 * Numbers for the states of the trust anchors of an instance. One number never names two states: a change that was
 * rolled back has used its number up, or a cache that was filled inside it would pass as the next change's.
 */
export interface TrustVersions {
  /** Gives the instance a number above every one it had. */
  advance(db: SqlExecutor, instanceKey: string): Promise<void>;
}

export function createTrustVersions(): TrustVersions {
  const highest = new Map<string, number>();
  return {
    async advance(db, instanceKey) {
      const stored = await readTrustVersion(db, instanceKey);
      const next = Math.max(stored, highest.get(instanceKey) ?? 0) + 1;
      highest.set(instanceKey, next);
      await db.updateTable('provisioning_instance').set({ trust_version: next }).where('name_key', '=', instanceKey).execute();
    },
  };
}

/** 0 before the first change, and for an instance that does not exist. */
export async function readTrustVersion(db: SqlExecutor, instanceKey: string): Promise<number> {
  const {
    rows: [row],
  } = await selectVersion(db, { nameKey: instanceKey });
  return row?.trust_version ?? 0;
}
