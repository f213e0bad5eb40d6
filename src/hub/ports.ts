import type { Cause } from '../audit/actor.ts';
import type { ChangeRecorder } from '../audit/change.ts';
import type { BlockLookup } from '../blocks/ports.ts';
import type { AuthenticationType } from '../contracts/hub/device.ts';
import type { IdentityPath } from '../contracts/hub/identity-path.ts';
import type { CloudToDeviceMessage, FeedbackRecord } from '../contracts/hub/message.ts';
import type { PeerInfo, TransportName } from '../contracts/transport.ts';
import type { Instant, Milliseconds } from '../kernel/clock.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { RefusalStore } from '../refusals/ports.ts';

/** An IoT hub. Names and host names compare without case. */
export interface HubInstance {
  readonly name: string;
  readonly hostName: string;
  readonly createdAt: Instant;
}

export interface HubPolicyRow {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

/** The identity of a device, or of a module, as stored; `hub` is the hub's name. */
export interface DeviceRow {
  readonly hub: string;
  /** Case-sensitive. A module has a path here, as its clients call themselves: `{deviceId}/{moduleId}`. */
  readonly deviceId: IdentityPath;
  /** Decimal string of .NET ticks at creation; differs for every incarnation of an id. */
  readonly generationId: string;
  /** +1 per identity update; the wire etag is base64 of its decimal digits. */
  readonly etagCounter: number;
  readonly status: 'enabled' | 'disabled';
  readonly statusReason?: string;
  readonly statusUpdatedAt?: Instant;
  readonly authentication: {
    readonly type: AuthenticationType;
    readonly primaryKey?: string;
    readonly secondaryKey?: string;
    /** Upper-case hex, SHA-1 or SHA-256. */
    readonly primaryThumbprint?: string;
    readonly secondaryThumbprint?: string;
  };
  readonly iotEdge: boolean;
  readonly createdAt: Instant;
  /** Of a module: who looks after it, such as `IotEdge`. */
  readonly managedBy?: string;
  /** Of an edge device its own; of a device below one, that one's. */
  readonly deviceScope?: string;
  /** Scope of the edge device above. */
  readonly parentScope?: string;
  /** Whether a registration assigned it to this hub, or took it over there; absent of what an operator made by hand. */
  readonly provisioned?: true;
}

/** A twin as stored, beside its device; sections are plain values without `$` members. */
export interface TwinRow {
  readonly hub: string;
  readonly deviceId: string;
  /** Starts at 1; +1 per change of tags or desired. */
  readonly etagCounter: number;
  /** Starts at 2; +1 per change of any section. */
  readonly version: number;
  readonly tags: JsonObject;
  readonly desired: TwinSection;
  readonly reported: TwinSection;
  readonly modelId?: string;
}

export interface TwinSection {
  readonly version: number;
  readonly properties: JsonObject;
  /** Mirrors `properties` with `$lastUpdated` (and `$lastUpdatedVersion` for desired) on every level. */
  readonly metadata: JsonObject;
}

/** One stored device-to-cloud message or hub event. */
export interface TelemetryRow {
  readonly hub: string;
  readonly deviceId: string;
  readonly generationId: string;
  readonly enqueuedAt: Instant;
  /** `Telemetry`, `deviceLifecycleEvents`, `twinChangeEvents`, `deviceConnectionStateEvents`. */
  readonly source: string;
  readonly authMethod: string;
  readonly body: Uint8Array;
  readonly systemProperties: Readonly<Record<string, string>>;
  readonly applicationProperties: Readonly<Record<string, string>>;
}

/** A queue of a hub. One that belongs to a device goes with it. */
export interface QueueId {
  readonly hub: string;
  /** Unique within the hub; case-sensitive, because device ids are. */
  readonly name: string;
  readonly deviceId?: string;
}

/** While a message is locked nobody else receives it; its end is told with the token. */
export interface MessageLock {
  readonly token: string;
  readonly until: Instant;
  /** The live receiver that holds it; absent when a token alone was given out (HTTPS). */
  readonly receiver?: string;
}

/** A message that waits in a queue. */
export interface QueuedMessageRow {
  readonly queue: QueueId;
  /** Grows within the queue and is never given twice. */
  readonly sequenceNumber: number;
  /** Of the device that it was sent to. */
  readonly generationId: string;
  readonly message: CloudToDeviceMessage;
  readonly enqueuedAt: Instant;
  readonly expiresAt: Instant;
  /** How often it came back to the queue. */
  readonly deliveryCount: number;
  readonly lock?: MessageLock;
}

export interface HubInstanceStore {
  get(name: string): Promise<HubInstance | undefined>;
  list(): Promise<readonly HubInstance[]>;
  insert(hub: HubInstance): Promise<void>;
  policies(hub: string): Promise<readonly HubPolicyRow[]>;
  putPolicy(hub: string, policy: HubPolicyRow): Promise<void>;
}

export interface DeviceStore {
  /** A module has the status of its device: it cannot be disabled by itself, nor connect where its device must not. */
  get(hub: string, path: IdentityPath): Promise<DeviceRow | undefined>;
  /** Devices, without their modules; `only` leaves the others out. */
  list(hub: string, page: PageRequest, only?: 'edge'): Promise<Page<DeviceRow>>;
  /** In the order of their ids. */
  modulesOf(hub: string, deviceId: string): Promise<readonly DeviceRow[]>;
  /** The edge device whose own scope this is. */
  byScope(hub: string, scope: string): Promise<DeviceRow | undefined>;
  /** Identities of whatever hub that accept this thumbprint (upper-case hex), primary or secondary; at most 100. */
  byThumbprint(thumbprint: string): Promise<readonly DeviceRow[]>;
  /** Throws `DeviceAlreadyExists`. */
  insert(device: DeviceRow): Promise<void>;
  /** Compare-and-set on the etag counter in one statement (`undefined` = unconditional); throws `DeviceNotFound` or `PreconditionFailed`. */
  replace(device: DeviceRow, expectedEtagCounter: number | undefined): Promise<void>;
  /** Removes identity and twin; a device takes its modules along. Same errors as `replace`. */
  delete(hub: string, path: IdentityPath, expectedEtagCounter: number | undefined): Promise<void>;
}

export interface TwinStore {
  get(hub: string, deviceId: string): Promise<TwinRow | undefined>;
  insert(twin: TwinRow): Promise<void>;
  /** Compare-and-set on `expectedVersion`, in one statement; throws `PreconditionFailed` or `DeviceNotFound`. */
  replace(twin: TwinRow, expectedVersion: number): Promise<void>;
}

export interface TelemetryStore {
  /** Appends in order; returns the sequence number of the first. */
  append(rows: readonly TelemetryRow[]): Promise<number>;
  /** Messages of a hub with a sequence number greater than `after` (in order), at most `limit`, optionally of one device. */
  read(
    hub: string,
    query: { readonly after: number; readonly limit: number; readonly deviceId?: string },
  ): Promise<readonly (TelemetryRow & { readonly sequenceNumber: number })[]>;
  /** Highest sequence number of the hub, 0 when none. */
  lastSequenceNumber(hub: string): Promise<number>;
  /** Removes at most `atMost` of the oldest messages, up to the first that is not older than `before`; returns how many. */
  forget(hub: string, bounds: { readonly before: Instant; readonly atMost: number }): Promise<number>;
  /** Removes what a device sent; returns how many messages. Sequence numbers are not given out again. */
  erase(hub: string, deviceId: string): Promise<number>;
}

/** A refusal at a hub's door, kept so that its tracking id resolves to the reasons. */
export interface HubDecisionRow {
  readonly trackingId: string;
  readonly hub: string;
  readonly deviceId: string;
  readonly at: Instant;
  readonly transport: TransportName;
  /** The row of the error table that it was refused with. */
  readonly error: string;
  readonly trace: Json;
}

export interface HubDecisionStore {
  append(row: HubDecisionRow): Promise<void>;
  get(trackingId: string): Promise<HubDecisionRow | undefined>;
  /** As the provisioning side's: the old, then all but the newest `keep`; returns how many. */
  prune(bounds: { readonly before: Instant; readonly keep: number }): Promise<number>;
}

export interface MessageQueueStore {
  /** Puts a message behind all that were ever in its queue; returns its sequence number. */
  append(message: Omit<QueuedMessageRow, 'sequenceNumber' | 'deliveryCount' | 'lock'>): Promise<number>;
  count(queue: QueueId): Promise<number>;
  /** How many messages wait in each of these queues of a hub; empty ones are left out. */
  counts(hub: string, names: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** In order, at most `limit`: those that nobody has locked at `now`, whose lock may have ended. */
  free(queue: QueueId, options: { readonly now: Instant; readonly limit: number }): Promise<readonly QueuedMessageRow[]>;
  /** In order, locked or not. */
  list(queue: QueueId, limit: number): Promise<readonly QueuedMessageRow[]>;
  /** When the first of the locks that hold at `now` ends. */
  nextUnlock(queue: QueueId, now: Instant): Promise<Instant | undefined>;
  /** The message with this lock, whether the lock still holds or not. */
  locked(queue: QueueId, token: string): Promise<QueuedMessageRow | undefined>;
  /** Sets what a message's turn at a receiver changes. */
  mark(message: QueuedMessageRow, change: Pick<QueuedMessageRow, 'deliveryCount' | 'lock'>): Promise<void>;
  /** Takes the locks of one live receiver, or of all, off the messages of a queue. Returns how many there were. */
  release(queue: QueueId, receiver?: string): Promise<number>;
  remove(message: QueuedMessageRow): Promise<void>;
  /** Of all queues of all hubs: at most `limit` whose time is over at `now` and that nobody has locked then. */
  expired(options: { readonly now: Instant; readonly limit: number }): Promise<readonly QueuedMessageRow[]>;
}

/** A record that waits for its batch. */
export interface FeedbackRow {
  readonly recordNumber: number;
  readonly recordedAt: Instant;
  readonly record: FeedbackRecord;
}

export interface FeedbackStore {
  append(hub: string, row: Omit<FeedbackRow, 'recordNumber'>): Promise<void>;
  /** The oldest records of a hub, in order. */
  oldest(hub: string, limit: number): Promise<readonly FeedbackRow[]>;
  /** Removes a hub's records up to and including this number. */
  removeThrough(hub: string, recordNumber: number): Promise<void>;
  /** Removes, in every hub, what was recorded before. Returns how many there were. */
  forget(before: Instant): Promise<number>;
}

/** What a device has subscribed to and finds again when it comes back; it goes with its device. */
export interface SubscriptionStore {
  get(hub: string, deviceId: string): Promise<SubscriptionMap | undefined>;
  /** Replaces what was kept. */
  put(hub: string, deviceId: string, subscriptions: SubscriptionMap): Promise<void>;
  delete(hub: string, deviceId: string): Promise<void>;
}

/** Topic filters, and the quality of service that each was granted. */
export type SubscriptionMap = ReadonlyMap<string, 0 | 1>;

/** When an identity last connected or disconnected, and last did anything; what never happened is absent. */
export interface Seen {
  readonly connectionChangedAt?: Instant;
  readonly activeAt?: Instant;
}

/** The same with whose it is. */
export interface PresenceRow extends Seen {
  readonly hub: string;
  readonly deviceId: IdentityPath;
  /** Whether it has a live session. */
  readonly connected: boolean;
}

/** When identities were seen, as far as it is written; it goes with its identity. */
export interface PresenceStore {
  /** Of those of these identities that were ever seen. */
  find(hub: string, paths: readonly IdentityPath[]): Promise<ReadonlyMap<IdentityPath, Seen>>;
  /** Rows of identities that are gone are passed over; a moment that a row leaves out stays. At most one row per identity. */
  put(rows: readonly PresenceRow[]): Promise<void>;
  /** Says of all that are still called connected that they are not, since `at`; returns how many. */
  endConnections(at: Instant): Promise<number>;
}

/** Everything the hub may read or write in one transaction. */
export interface HubTransaction {
  readonly hubs: HubInstanceStore;
  readonly devices: DeviceStore;
  readonly twins: TwinStore;
  readonly telemetry: TelemetryStore;
  readonly hubDecisions: HubDecisionStore;
  readonly refusals: Pick<RefusalStore, 'append' | 'prune'>;
  readonly blocks: BlockLookup;
  readonly queues: MessageQueueStore;
  readonly feedback: FeedbackStore;
  readonly subscriptions: SubscriptionStore;
  /** For changes that no row shows by itself. */
  readonly changes: ChangeRecorder;
  readonly presence: PresenceStore;
  /** Runs after the commit is durable and before the writer is told; never when it failed. For cutting sessions and notifying. */
  afterCommit(effect: () => void): void;
}

/**
 * `read` sees committed state; `write` resolves after the commit is durable, and what it changed is in the audit trail on
 * behalf of `cause`, or of the service itself.
 */
export interface HubStorage {
  readonly read: Omit<HubTransaction, 'afterCommit' | 'changes' | 'refusals'>;
  write<T>(work: (transaction: HubTransaction) => Promise<T>, cause?: Cause): Promise<T>;
}

/** Why a live session is being ended; each protocol says it in its own words. */
export type CutReason =
  | 'device-deleted'
  | 'device-disabled'
  | 'credential-changed'
  | 'taken-over'
  | 'token-expired'
  | 'certificate-expired'
  | 'shutting-down';

/** What can be ended: a device's session, or what a service has open. */
export interface Endable {
  readonly peer: PeerInfo;
  /** Ends the session at once; resolves when the socket is closed or was handed to the kernel to close. */
  cut(reason: CutReason): Promise<void>;
}

/** What a live session of a device offers to the hub. */
export interface LiveSession extends Endable {
  /** A desired-properties patch (or whole section after a replace), `$version` included; sent only if the session subscribed. */
  notifyDesired(patch: JsonObject): void;
  /** Hands a call to the device; `undefined` when the device does not take calls now. The signal ends the waiting, not the device's work. */
  callMethod(call: MethodCall, signal: AbortSignal): Promise<MethodOutcome> | undefined;
}

/** Why sessions end, and which of them stay. */
export type CutCause = CutReason | { readonly reason: CutReason; readonly except: readonly string[] };

/** What a cut came to. */
export interface CutResult {
  readonly sessions: number;
  /** Until the last of them had closed. */
  readonly elapsedMilliseconds: number;
  /** Each session that was closed. `session` tells them apart where several cuts met the same one. */
  readonly closed: readonly { readonly session: string; readonly transport: TransportName; readonly elapsedMilliseconds: number }[];
}

/** A direct method as the device gets it. */
export interface MethodCall {
  readonly name: string;
  readonly payload: Json;
}

/** What became of a call that reached a session. `abandoned` = the signal came first. */
export type MethodOutcome =
  | { readonly kind: 'answered'; readonly status: number; readonly payload: Json }
  | { readonly kind: 'refused'; readonly reason: 'too-many' | 'not-json' | 'too-large' }
  | { readonly kind: 'connection-lost' }
  | { readonly kind: 'abandoned' };

/** News that is only worth a look: whoever hears it reads what is committed. */
export type Bell =
  | { readonly hub: string; readonly about: 'telemetry' }
  | { readonly hub: string; readonly about: 'queue'; readonly queue: string }
  | { readonly hub: string; readonly about: 'methods'; readonly deviceId: string };

/** Who holds which device, and how to reach or cut it: in process, across workers, across machines. */
export interface SessionBus {
  /**
   * Registers a session of a device; an older one of the same device is cut with `taken-over`. Returns how to leave.
   * `keys` say what it authenticated with, for `cutCovered`; joining again replaces them.
   */
  join(hub: string, deviceId: string, session: LiveSession, keys?: readonly string[]): () => void;
  /** Registers what a service has open; it is nobody's presence. Returns how to leave. */
  attend(session: Endable, keys: readonly string[]): () => void;
  /**
   * Cuts every session of the identity, and those of its modules when it was removed or disabled, everywhere, but those that
   * joined with one of the keys of `except`; resolves when all have closed, with how many there were and how long it took.
   */
  cut(hub: string, deviceId: IdentityPath, cause: CutCause): Promise<CutResult>;
  /** Cuts every session, of whatever device or service, that joined with one of the keys. */
  cutCovered(keys: readonly string[], reason: CutReason): Promise<CutResult>;
  notifyDesired(hub: string, deviceId: string, patch: JsonObject): void;
  isConnected(hub: string, deviceId: IdentityPath): boolean;
  /** How many devices of a hub have a live session; modules are not counted. */
  connectedDevices(hub: string): number;
  /** When the device last connected or disconnected, and last did anything, since the service started. */
  lastSeen(hub: string, deviceId: IdentityPath): Seen;
  /**
   * Who was seen since this was asked last, at most `limit`, each once: whoever came or went, and whoever was only active,
   * when this told of it `activeEvery` ago or longer.
   */
  takePresence(options: { readonly limit: number; readonly activeEvery: Milliseconds }): readonly PresenceRow[];
  /** Notes activity (telemetry, twin) of a device. */
  touch(hub: string, deviceId: string): void;
  /** Calls the method on the session that holds the device, wherever it is; `undefined` when none takes calls now. */
  callMethod(hub: string, deviceId: string, call: MethodCall, signal: AbortSignal): Promise<MethodOutcome | undefined>;
  /** Calls back each time the bell is rung, anywhere; returns how to stop. */
  listen(bell: Bell, listener: () => void): () => void;
  /** Rings after the commit of what there is to see. */
  ring(bell: Bell): void;
}

/** Whom a hub trusts to vouch for devices of type `certificateAuthority`. Joined in `compose.ts`. */
export interface HubTrust {
  /** `intermediates` complete paths; only a path to one of `anchors` is trusted. */
  trustedCertificates(hub: string): Promise<{ readonly anchors: readonly Certificate[]; readonly intermediates: readonly Certificate[] }>;
}
