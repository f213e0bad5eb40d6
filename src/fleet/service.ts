import type { Cause } from '../audit/actor.ts';
import type { Block, SelectorKind } from '../blocks/block.ts';
import type { ReadmissionGuard } from '../contracts/fleet/readmission.ts';
import type { DenyName, Tripwire } from '../contracts/fleet/tripwire.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Explanation } from '../contracts/fleet/explanation.ts';
import type { RunCounts, RunItem, RunKind } from './ports.ts';
import type { Receipt } from '../contracts/fleet/receipt.ts';
import type { Reconcile } from './reconcile/reconcile.ts';
import type { WhatIf } from './what-if/what-if.ts';

/** Which property of the device a block is to name; `id` is both of its ids. */
export const blockBy = ['id', 'key', 'leaf', 'serial', 'subject'] as const;
export type BlockBy = (typeof blockBy)[number];

export interface BlockTerms {
  readonly reason: string;
  readonly ticket?: string;
  readonly expiresAt?: Instant;
}

/** How a device is shut out. */
export interface DeprovisionTerms extends BlockTerms {
  /** `revoke` keeps what a reinstatement needs; `retire` erases twin, queue and telemetry for good. */
  readonly mode: 'revoke' | 'retire';
  /** Absent: the ids, and the public key where it is known; the leaf instead of a key that other devices have, too. */
  readonly by?: readonly BlockBy[];
  /** What becomes of the identities at the hubs. */
  readonly identity: 'remove' | 'disable' | 'keep';
}

export interface DeprovisionRequest extends DeprovisionTerms {
  /** A device id, a registration id, a thumbprint, or a certificate in PEM, its issuers may follow. */
  readonly device: string;
  /** Goes through everything and writes nothing. */
  readonly dryRun?: boolean;
  /** Blocks an id or a thumbprint that nothing is known of. */
  readonly evenIfUnknown?: boolean;
}

export interface ReinstateRequest {
  /** As for deprovisioning, or the id of a receipt. */
  readonly device: string;
  readonly reason?: string;
  /** Lets one registration through until this moment, instead of lifting the block. */
  readonly onceUntil?: Instant;
  readonly dryRun?: boolean;
}

export interface BlockRequest extends BlockTerms {
  readonly selectors: readonly { readonly kind: SelectorKind; readonly value: string }[];
  /** PEM, for the kinds that a certificate has to be at hand for; those of `by` are taken from it. */
  readonly certificate?: string;
  readonly by?: readonly Exclude<BlockBy, 'id'>[];
}

export interface RunDescription {
  readonly id: string;
  readonly kind: RunKind;
  /** It says what would be done, and does nothing. */
  readonly dryRun?: true;
  readonly createdAt: Instant;
  readonly finishedAt?: Instant;
  readonly counts: RunCounts;
}

/** Which devices a run is for: a list, those that a group provisioned, or those that a query of the service API finds. */
export type RunTargets =
  | { readonly devices: readonly string[] }
  | { readonly group: string; readonly instance?: string }
  | { readonly query: string; readonly instance?: string };

export type RunTerms = DeprovisionTerms & Pick<DeprovisionRequest, 'dryRun'>;

/** Domain 3, over the other two. Every change is in the audit trail on behalf of its cause. */
export interface Fleet {
  /** Shuts a device out in one transaction and returns when its sessions have ended; again, it returns the same receipt. */
  deprovision(request: DeprovisionRequest, cause: Cause): Promise<Receipt>;
  /** Undoes what the receipts of a device say. */
  reinstate(request: ReinstateRequest, cause: Cause): Promise<Receipt>;
  readonly receipts: {
    /** Throws `ResourceNotFound`. */
    get(id: string): Promise<Receipt>;
    list(query: { readonly limit: number; readonly device?: string }): Promise<readonly Receipt[]>;
  };
  readonly blocks: {
    get(id: string): Promise<Block>;
    list(page: PageRequest): Promise<Page<Block>>;
    /** Cuts the sessions that it covers before it returns. */
    create(request: BlockRequest, cause: Cause): Promise<Block>;
    /** `guard` is told of the devices that come back, or has the lifting refused. Throws `ResourceNotFound` or `WouldReadmit`. */
    lift(id: string, cause: Cause, guard?: ReadmissionGuard): Promise<void>;
  };
  readonly tripwires: {
    /** The latest attempt first. */
    list(page: PageRequest): Promise<Page<Tripwire>>;
    /** By registration id, else device id, without case. Throws `ResourceNotFound`. */
    get(device: string): Promise<Tripwire>;
    /** Seconds that a device is to be told to wait which this deny refuses; `undefined` where its attempts are not counted. */
    retryHint(registrationId: string, deny: DenyName): Promise<number | undefined>;
  };
  readonly runs: {
    /** Starts at once and goes on by itself, after a restart, too. */
    start(targets: RunTargets, terms: RunTerms, cause: Cause): Promise<RunDescription>;
    get(id: string): Promise<RunDescription>;
    list(limit: number): Promise<readonly RunDescription[]>;
    items(id: string, page: PageRequest): Promise<Page<RunItem>>;
  };
  /**
   * Why a device is, or was, let in or refused; by certificate (PEM), device or registration id, thumbprint, tracking id or
   * operation id. Throws `ArgumentInvalid` for a moment of which nothing is known.
   */
  explain(subject: ExplainRequest): Promise<Explanation>;
  /** What a change would do to the devices that are known, before it is made. */
  readonly whatIf: WhatIf;
  /** What has come apart between enrollments, records, identities, links and denies. */
  readonly drift: Reconcile;
  /** Goes on with the runs that a stop interrupted; returns how many. */
  recover(): Promise<{ readonly resumedRuns: number }>;
  close(): Promise<void>;
}

export interface ExplainRequest {
  readonly subject: string;
  /** Absent: the only one, or all of them. */
  readonly instance?: string;
  /** Absent: the common name of the certificate. */
  readonly registrationId?: string;
  /** As things were at this moment, as far as the audit trail tells; absent: now. */
  readonly asOf?: Instant;
}
