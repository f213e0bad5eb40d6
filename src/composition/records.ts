import { createAuditKeys } from '../audit/audit-keys.ts';
import { type AuditTrail, createAuditTrail } from '../audit/trail.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { createOperators, type Operators } from '../operators/operators.ts';
import { createRefusalFeed, type OwnRefusalFeed } from '../refusals/refusal-feed.ts';
import type { openDataFolder } from '../runtime/data-folder.ts';
import { openSqlStore, type SqlStore } from '../stores/sql/store.ts';

/** The store, and what is known over it of who did what, who may, and who was refused. */
export interface Records {
  readonly store: SqlStore;
  readonly audit: AuditTrail;
  readonly operators: Operators;
  readonly refusals: OwnRefusalFeed;
}

/** Opens the store of a data folder with the secrets that lie beside it. Throws `StoreOpenError`. */
export async function openRecords(deps: {
  readonly folder: ReturnType<typeof openDataFolder>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** As for the store. */
  readonly as?: 'host' | 'guest';
}): Promise<Records> {
  const { folder, clock, ids, log, as = 'host' } = deps;
  const ownerToken = secretOf(folder, 'api-token', ids);
  // Not in the database: whoever writes there alone cannot make a trail that ends with the seal of this installation.
  const keys = createAuditKeys(Buffer.from(secretOf(folder, 'audit-key', ids), 'base64url'));
  const store = await openSqlStore({ path: folder.file('muster.sqlite'), log, clock, auditKeys: keys, as });
  return {
    store,
    audit: createAuditTrail({ storage: store, keys }),
    operators: createOperators({ storage: store, ownerToken, clock, ids, log }),
    refusals: createRefusalFeed({ refusals: store.read.refusals }),
  };
}

/** A secret of the folder, made when it is not there; 32 random bytes. */
export function secretOf(folder: ReturnType<typeof openDataFolder>, name: string, ids: Ids): string {
  const known = folder.read(name)?.trim();
  if (known !== undefined && known !== '') return known;
  const fresh = Buffer.from(ids.bytes(32)).toString('base64url');
  folder.write(fresh, name);
  return fresh;
}
