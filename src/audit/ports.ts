import type { AuditEntry, AuditHead } from '../contracts/audit/audit-entry.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Cause } from './actor.ts';
import type { Change } from './change.ts';

/** Which entries. Names compare without case; absent means any. */
export interface AuditFilter {
  /** The id of what was changed. */
  readonly resource?: string;
  readonly resourceKind?: string;
  /** The provisioning service or hub that it belongs to. */
  readonly scope?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly since?: Instant;
  /** Not included. */
  readonly until?: Instant;
}

export interface AuditQuery extends PageRequest {
  readonly filter?: AuditFilter;
  /** `after` is a sequence number in this direction. */
  readonly order: 'newest-first' | 'oldest-first';
}

/** The audit trail as stored. Entries are only ever added at the end, and removed from the beginning by retention. */
export interface AuditStore {
  /** Adds entries behind the last one, in the transaction that made the changes. */
  append(changes: readonly Change[], origin: { readonly cause: Cause; readonly at: Instant }): Promise<void>;
  get(sequence: number): Promise<AuditEntry | undefined>;
  list(query: AuditQuery): Promise<Page<AuditEntry>>;
  /** The end as it was noted with the last entry; the start of a chain when there is none. */
  head(): Promise<AuditHead & { readonly seal?: string }>;
  /** The last entry that was removed; `undefined` when none was. */
  checkpoint(): Promise<AuditHead | undefined>;
  /** Removes the entries before the first one that is not older, and notes where the chain begins now. Returns how many. */
  prune(before: Instant): Promise<{ readonly removed: number; readonly checkpoint?: AuditHead }>;
}

/** What the trail needs of a store. */
export interface AuditStorage {
  readonly read: { readonly audit: AuditStore };
  write<T>(
    work: (transaction: { readonly audit: AuditStore; readonly changes: { record(change: Change): void } }) => Promise<T>,
    cause?: Cause,
  ): Promise<T>;
}
