import type { Cause } from '../audit/actor.ts';
import type { BlockStore } from '../blocks/ports.ts';
import type { DenyName, TriedDoor } from '../contracts/fleet/tripwire.ts';
import type { DeviceRow, HubTransaction } from '../hub/ports.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Json } from '../kernel/json.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { EnrollmentRow, ProvisioningTransaction, RegistrationRow } from '../provisioning/ports.ts';

export type ReceiptKind = 'revoke' | 'retire' | 'reinstate';
export type RunKind = 'deprovision';
export type RunItemState = 'pending' | 'done' | 'failed';

/** A receipt as stored. */
export interface ReceiptRow {
  readonly id: string;
  readonly kind: ReceiptKind;
  /** The device as its registration or identity spells it. */
  readonly device: string;
  readonly createdBy: string;
  readonly createdAt: Instant;
  /** What is shown. */
  readonly body: Json;
  /** What a reinstatement puts back, keys included; never shown. */
  readonly undo?: Json;
  /** The receipt of the reinstatement that undid it. */
  readonly undoneBy?: string;
}

export interface ReceiptStore {
  get(id: string): Promise<ReceiptRow | undefined>;
  /** Newest first. `device` compares without case. */
  list(query: { readonly limit: number; readonly device?: string }): Promise<readonly ReceiptRow[]>;
  insert(row: ReceiptRow): Promise<void>;
  /** Adds what became known after the commit: times and proof. */
  amend(id: string, body: Json): Promise<void>;
  /** Marks it as undone, once, and forgets what was kept for that; whether it was not undone before. */
  markUndone(id: string, by: string): Promise<boolean>;
}

/** A change of many devices that goes on until it is through, over restarts. */
export interface RunRow {
  readonly id: string;
  readonly kind: RunKind;
  readonly request: Json;
  readonly createdBy: string;
  readonly createdAt: Instant;
  readonly finishedAt?: Instant;
}

export interface RunItem {
  readonly run: string;
  /** From 0, in the order in which they were given. */
  readonly ordinal: number;
  readonly target: string;
  readonly state: RunItemState;
  readonly receiptId?: string;
  /** Why it failed. */
  readonly message?: string;
}

export type RunCounts = Readonly<Record<RunItemState, number>>;

export interface RunStore {
  insert(run: RunRow, targets: readonly string[]): Promise<void>;
  get(id: string): Promise<RunRow | undefined>;
  /** Newest first. */
  list(limit: number): Promise<readonly RunRow[]>;
  /** Oldest first. */
  unfinished(): Promise<readonly RunRow[]>;
  counts(id: string): Promise<RunCounts>;
  /** In their order; `after` is an ordinal. */
  items(id: string, page: PageRequest & { readonly state?: RunItemState }): Promise<Page<RunItem>>;
  /** Writes state, receipt and message of one item. */
  settle(item: RunItem): Promise<void>;
  finish(id: string, at: Instant): Promise<void>;
}

/** What a device did after it was shut out, as stored; see `Tripwire`. */
export interface TripwireRow {
  readonly device: string;
  readonly deny: DenyName;
  readonly firstAt: Instant;
  readonly lastAt: Instant;
  readonly attempts: number;
  readonly proven: number;
  readonly doors: readonly TriedDoor[];
  readonly addresses: readonly string[];
  readonly trackingId: string;
}

/** One row a device; devices compare without case. */
export interface TripwireStore {
  get(device: string): Promise<TripwireRow | undefined>;
  /** Takes the place of the one that the device has. */
  put(row: TripwireRow): Promise<void>;
  /** The latest attempt first. */
  list(page: PageRequest): Promise<Page<TripwireRow>>;
  /** Removes those without an attempt since `before`, and of the rest all but the latest `keep`; returns how many. */
  prune(bounds: { readonly before: Instant; readonly keep: number }): Promise<number>;
}

/** What a registration record says of where its device is. */
export type RecordGlance = Pick<
  RegistrationRow,
  'instance' | 'registrationId' | 'etag' | 'enrollmentKind' | 'enrollmentId' | 'status' | 'assignedHub' | 'deviceId' | 'leafSha256'
>;

/** What an identity accepts, keys left out. */
export interface IdentityGlance extends Pick<DeviceRow, 'hub' | 'deviceId' | 'provisioned'> {
  readonly authentication: Pick<DeviceRow['authentication'], 'type' | 'primaryThumbprint' | 'secondaryThumbprint'>;
}

/** An enrollment, with the upper-case SHA-256 of its client certificates. */
export interface EntryGlance extends Pick<EnrollmentRow, 'kind' | 'instance' | 'id'> {
  readonly leaves: readonly string[];
}

/**
 * Slices of everything, and what belongs to the rows of a slice in one look each: for comparing a whole fleet without asking
 * for its devices one by one. No list of ids is longer than a slice.
 */
export interface DriftStore {
  /** Of every instance; keys are opaque. */
  records(page: PageRequest): Promise<Page<RecordGlance & { readonly key: string }>>;
  /** Devices of every hub, without modules; keys are opaque. */
  identities(page: PageRequest): Promise<Page<IdentityGlance & { readonly key: string }>>;
  identitiesOf(hub: string, deviceIds: readonly string[]): Promise<readonly IdentityGlance[]>;
  /** The records, of whatever instance, that name one of these device ids. */
  recordsOf(deviceIds: readonly string[]): Promise<readonly RecordGlance[]>;
  entriesOf(kind: EnrollmentRow['kind'], instance: string, ids: readonly string[]): Promise<readonly EntryGlance[]>;
}

/** Everything that the fleet may read or write in one transaction: both domains and its own. */
export type FleetTransaction = Omit<ProvisioningTransaction, 'blocks' | 'hubs'> &
  HubTransaction & {
    readonly blocks: BlockStore;
    readonly receipts: ReceiptStore;
    readonly runs: RunStore;
    readonly tripwires: TripwireStore;
    readonly drift: DriftStore;
  };

/** As the storages of both domains. */
export interface FleetStorage {
  readonly read: Omit<FleetTransaction, 'afterCommit' | 'changes' | 'events' | 'refusals'>;
  write<T>(work: (transaction: FleetTransaction) => Promise<T>, cause?: Cause): Promise<T>;
}
