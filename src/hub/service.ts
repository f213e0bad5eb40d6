import type { CloudToDeviceMessage, PurgeResult } from '../contracts/hub/message.ts';
import type { Cause } from '../audit/actor.ts';
import type { DeviceIdentity, DeviceTwin, ModuleIdentity, TelemetryMessage, Twin } from '../contracts/hub/device.ts';
import type { IdentityPath } from '../contracts/hub/identity-path.ts';
import type { SelectorKey } from '../blocks/block.ts';
import type { PeerInfo, PresentedCredentials, TransportName } from '../contracts/transport.ts';
import type { Instant } from '../kernel/clock.ts';
import type { Json } from '../kernel/json.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Precondition } from '../kernel/precondition.ts';
import type { HubInquiry, HubJudgeStores, HubOutcome } from './judge.ts';
import type { Settlement } from './messaging/message-rules.ts';
import type { Endable, LiveSession, SubscriptionMap, TelemetryRow } from './ports.ts';

/** Rights of hub policies. `RegistryWrite` implies `RegistryRead`. */
export const hubRights = ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'] as const;
export type HubRight = (typeof hubRights)[number];

/** `alone`: the only process, or the first before it lets others begin. `joining`: others are at work already. */
export type HubRole = 'alone' | 'joining';

/** Proof that a device authenticated. Each use of it is checked again against the committed identity. */
export interface DeviceGrant {
  readonly hub: string;
  readonly deviceId: IdentityPath;
  readonly generationId: string;
  readonly method: 'sas' | 'x509';
  /** When the proof ends: with its token, or with its certificate where that is configured. */
  readonly expiresAt?: Instant;
  /** Whose proof it was: the device's own (default) or that of a hub policy. */
  readonly scope?: 'device' | 'hub';
  /** What it was given for, see `stamps.ts`: good while the hub accepts one of them; without any it opens nothing. No secrets. */
  readonly credentialStamps?: readonly string[];
  /** What a block could name about the credential; checked again when the session opens, and kept with it. */
  readonly keys?: readonly SelectorKey[];
  /** Where it was proven; for the reasons that are kept when the grant no longer holds. */
  readonly transport?: TransportName;
  readonly remoteAddress?: string;
}

export interface HubDescription {
  readonly name: string;
  readonly hostName: string;
}

export interface HubPolicyDescription {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

export interface Hubs {
  list(): Promise<readonly HubDescription[]>;
  get(name: string): Promise<HubDescription>;
  /** Which hub serves this host (port stripped, no case): exact host name first; a loopback name or address finds the only hub. */
  byHost(host: string): Promise<HubDescription | undefined>;
  /** Creates with the five default policies; an existing one of the same name and host is returned as it is. */
  create(input: { readonly name: string; readonly hostName: string }): Promise<HubDescription>;
  policies(name: string): Promise<readonly HubPolicyDescription[]>;
  /**
   * Makes a new key for a policy, or swaps its two. Sessions of devices and services that a key let in which is gone are cut
   * after the commit; resolves when they are closed. Throws `IotHubNotFound` or `ResourceNotFound`.
   */
  renewPolicyKey(name: string, keyName: string, which: 'primary' | 'secondary' | 'swap'): Promise<HubPolicyDescription>;
}

/** What devices do. */
export interface DevicePlane {
  /**
   * Judges what was presented against the committed identity. Throws `IotHubUnauthorized` (bad credential), `DeviceNotFound`
   * (unknown; MQTT and HTTPS bindings answer it like unauthorised), or `DeviceDisabled`.
   */
  authenticate(request: {
    readonly hub: string;
    readonly deviceId: string;
    readonly credentials: PresentedCredentials;
    readonly peer: PeerInfo;
  }): Promise<DeviceGrant>;
  /** Joins the bus, so that the session can be cut and notified; re-checks the grant. Throws as `authenticate`. Returns how to leave. */
  openSession(grant: DeviceGrant, session: LiveSession): Promise<() => void>;
  /** Says that the session of this device takes method calls from now on; callers may be waiting for it. */
  takesMethods(grant: DeviceGrant): void;
  /** Resolves once the messages are durably stored. Throws if the identity is gone, disabled or another generation. */
  sendTelemetry(grant: DeviceGrant, messages: readonly TelemetryMessage[]): Promise<void>;
  getTwin(grant: DeviceGrant): Promise<DeviceTwin>;
  /** Returns the new reported version. Throws `ArgumentInvalid` on limits. `expectedVersion` = reported `$version` to match. */
  patchReported(grant: DeviceGrant, patch: Json, expectedVersion?: number): Promise<number>;
}

/** A message under a lock: it is the receiver's until it is settled or the lock ends. */
export interface LockedMessage {
  readonly message: CloudToDeviceMessage;
  /** A GUID. */
  readonly lockToken: string;
  readonly lockedUntil: Instant;
  readonly sequenceNumber: number;
  /** How often it came back before; 0 the first time. */
  readonly deliveryCount: number;
  readonly enqueuedAt: Instant;
  readonly expiresAt: Instant;
}

/** Where a receiver's messages go: one connection of one peer. */
export interface MessageSink {
  /** In the order of the queue, except that a message that came back is after those handed over meanwhile. */
  deliver(message: LockedMessage): void;
  /** The lock ended by itself: the message is in the queue again, and settling it is too late. */
  lockEnded(message: LockedMessage): void;
}

/** Brings the messages of a queue to a sink for as long as it is open. */
export interface MessageReceiver {
  /** How many more messages the sink takes now; each delivery takes one off. Nothing comes before the first call. */
  setCredit(messages: number): void;
  /** Resolves when nothing that waits now can be handed over any more, for want of messages or of credit. */
  rest(): Promise<void>;
  /** Resolves once that is durable. Throws `DeviceMessageLockLost`. */
  settle(lockToken: string, settlement: Settlement): Promise<void>;
  /** Gives back what is not settled. */
  close(): Promise<void>;
}

/** Messages to devices, as devices receive them. All throw as `DevicePlane.authenticate` when the grant no longer holds. */
export interface DeviceMessages {
  /** The next message, locked for a minute unless told otherwise; `undefined` when none waits. */
  receive(grant: DeviceGrant, lockSeconds?: number): Promise<LockedMessage | undefined>;
  /** Resolves once that is durable. Throws `DeviceMessageLockLost`. */
  settle(grant: DeviceGrant, lockToken: string, settlement: Settlement): Promise<void>;
  /** Takes over from an older receiver of the device. The grant is asked for each time: a renewed token brings another. */
  openReceiver(grant: () => DeviceGrant, sink: MessageSink): Promise<MessageReceiver>;
}

/** Messages to devices, as services send them. */
export interface CloudToDevice {
  /**
   * Resolves once the message is durably queued. Throws `DeviceNotFound`, `MessageTooLarge`, `ArgumentInvalid`,
   * `InvalidMessageExpiryTime` or `DeviceMaximumQueueDepthExceeded`.
   */
  send(hub: string, deviceId: string, message: CloudToDeviceMessage): Promise<void>;
  /** Empties the queue of a device, locked messages included. */
  purge(hub: string, deviceId: string): Promise<PurgeResult>;
}

/** What became of messages to devices: batches of `FeedbackRecord` as JSON, each under a lock. */
export interface Feedback {
  receive(hub: string): Promise<LockedMessage | undefined>;
  /** Throws `DeviceMessageLockLost`. */
  settle(hub: string, lockToken: string, settlement: Settlement): Promise<void>;
  /** Several receivers of a hub share its feedback. */
  openReceiver(hub: string, sink: MessageSink): MessageReceiver;
}

/** What a device subscribed to, kept for its next connection. All throw as `DevicePlane.authenticate`. */
export interface KeptSubscriptions {
  load(grant: DeviceGrant): Promise<SubscriptionMap | undefined>;
  /** Resolves once that is durable; nothing is kept of none. */
  keep(grant: DeviceGrant, subscriptions: SubscriptionMap): Promise<void>;
}

/** What a device answered to a method. */
export interface MethodResult {
  readonly status: number;
  readonly payload: Json;
}

export interface Methods {
  /**
   * Calls a method of a device or module and waits for its answer. `body` is unchecked JSON: `methodName`, `payload` and the two
   * time-outs. Throws `DeviceNotOnline`, `GatewayTimeout`, `DeviceConnectionClosedRemotely`,
   * `DeviceMaximumInflightMethodExceeded`, `DeviceNotFound`, `ArgumentInvalid`, `MessageTooLarge` or `IotHubFormatError`.
   */
  invoke(hub: string, deviceId: IdentityPath, body: Json): Promise<MethodResult>;
}

/** Identity registry of a hub. Bodies come in as parsed but unchecked JSON. */
export interface DeviceRegistry {
  get(hub: string, deviceId: string): Promise<DeviceIdentity>;
  list(hub: string, page: PageRequest): Promise<Page<DeviceIdentity>>;
  /** Absent precondition creates (409 if it exists), `*` updates, an etag compares. */
  put(hub: string, deviceId: string, change: { readonly body: Json; readonly precondition: Precondition }): Promise<DeviceIdentity>;
  /** Cuts live sessions right after the commit and resolves when they are closed. */
  delete(hub: string, deviceId: string, precondition: Precondition): Promise<void>;
  /** Devices that have a live session. */
  connected(hub: string): Promise<{ readonly connectedDeviceCount: number }>;
  statistics(
    hub: string,
  ): Promise<{ readonly totalDeviceCount: number; readonly enabledDeviceCount: number; readonly disabledDeviceCount: number }>;
}

/** Modules of the devices of a hub; each is named by its path. Bodies come in as parsed but unchecked JSON. */
export interface ModuleRegistry {
  /** Throws `DeviceNotFound` or `ModuleNotFound`. */
  get(hub: string, path: IdentityPath): Promise<ModuleIdentity>;
  list(hub: string, deviceId: string): Promise<readonly ModuleIdentity[]>;
  /** As `DeviceRegistry.put`; also throws `ModuleAlreadyExistsOnDevice` and `TooManyModulesOnDevice`. */
  put(hub: string, path: IdentityPath, change: { readonly body: Json; readonly precondition: Precondition }): Promise<ModuleIdentity>;
  /** Cuts its live sessions right after the commit and resolves when they are closed. */
  delete(hub: string, path: IdentityPath, precondition: Precondition): Promise<void>;
}

/**
 * Makes keys of a device or module anew; its live sessions end. Throws `DeviceNotFound`, `ModuleNotFound`, or `ArgumentInvalid`
 * when it has none.
 */
export type KeyRenewal = (
  hub: string,
  path: IdentityPath,
  which: 'primaryKey' | 'secondaryKey' | 'both',
) => Promise<{ readonly primaryKey: string; readonly secondaryKey: string }>;

/** Of devices and modules; a module's twin is named by its path. */
export interface Twins {
  get(hub: string, deviceId: IdentityPath): Promise<Twin>;
  /** Of devices; `only` leaves the others out. */
  list(hub: string, page: PageRequest, only?: 'edge'): Promise<Page<Twin>>;
  patch(hub: string, deviceId: IdentityPath, change: { readonly body: Json; readonly precondition: Precondition }): Promise<Twin>;
  replace(hub: string, deviceId: IdentityPath, change: { readonly body: Json; readonly precondition: Precondition }): Promise<Twin>;
}

/** A stored event for monitors. */
export type MonitoredEvent = TelemetryRow & { readonly sequenceNumber: number };

export interface Monitor {
  /** Stored events of a hub after a sequence number (`undefined` = only new ones), then live ones until `signal` aborts. */
  follow(
    hub: string,
    options: { readonly after?: number; readonly deviceId?: string; readonly signal: AbortSignal },
  ): AsyncIterable<MonitoredEvent>;
}

/** What a service shows for what it keeps open: a token for the host that it names. */
export interface ServiceProof {
  readonly hub: string;
  readonly host: string;
  readonly authorization: string | undefined;
}

/** What operators do. */
export interface HubAdministration {
  readonly hubs: Hubs;
  readonly registry: DeviceRegistry;
  readonly modules: ModuleRegistry;
  readonly renewKeys: KeyRenewal;
  readonly twins: Twins;
  readonly cloudToDevice: CloudToDevice;
}

/** Domain 2 as bindings see it. As an administration it acts as the service itself. */
export interface Hub extends HubAdministration {
  /** The administration in the hands of somebody: every change is in the audit trail on behalf of `cause`. */
  as(cause: Cause): HubAdministration;
  readonly devicePlane: DevicePlane;
  readonly deviceMessages: DeviceMessages;
  readonly feedback: Feedback;
  readonly methods: Methods;
  readonly subscriptions: KeptSubscriptions;
  readonly monitor: Monitor;
  /** The decision that `authenticate` takes, without letting anybody in: nothing is logged or kept. Throws `IotHubNotFound`. */
  judge(inquiry: HubInquiry, stores?: HubJudgeStores): Promise<HubOutcome>;
  /** Starts housekeeping, before any door is open; `close` ends it, after the doors. `alone` when absent. */
  start(role?: HubRole): Promise<void>;
  close(): Promise<void>;
  /**
   * Puts what a service has open onto the bus, so that it ends with its token, its key and its policy. Returns how to leave.
   * Throws as `authorize`.
   */
  openServiceSession(proof: ServiceProof, session: Endable): Promise<() => void>;
  /** As for provisioning, the policy's name included; throws `IotHubUnauthorizedAccess` or `GenericForbidden`. `path` starts with `/`. */
  authorize(request: {
    readonly hub: string;
    readonly authorization: string | undefined;
    readonly host: string;
    readonly path: string;
    readonly right: HubRight;
    /** Who brought the token, for the audit trail. */
    readonly peer: Pick<PeerInfo, 'transport' | 'remoteAddress'>;
  }): Promise<string>;
}
