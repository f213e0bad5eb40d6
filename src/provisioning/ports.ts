import type { Cause } from '../audit/actor.ts';
import type { ChangeRecorder } from '../audit/change.ts';
import type { BlockLookup, BlockStore } from '../blocks/ports.ts';
import type {
  AllocationPolicy,
  InitialTwin,
  RegistrationStatus,
  RegistrationSubstatus,
  ReprovisionPolicy,
} from '../contracts/dps/enrollment.ts';
import type { IpFilterRule } from '../contracts/dps/ip-filter-rule.ts';
import type { TransportName } from '../contracts/transport.ts';
import type { EventSink } from '../events/ports.ts';
import type { Instant, Milliseconds } from '../kernel/clock.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { RefusalStore } from '../refusals/ports.ts';

/** A provisioning service instance (`Microsoft.Devices/provisioningServices`). Names and hosts compare without case. */
export interface ProvisioningInstance {
  readonly name: string;
  readonly hostName: string;
  readonly idScope: string;
  readonly allocationPolicy: AllocationPolicy;
  readonly createdAt: Instant;
  /** Advances with every change to the instance, its policies and its links. */
  readonly etag: string;
  /** In the order in which they are tried. */
  readonly ipFilterRules: readonly IpFilterRule[];
}

/** A shared access policy; `owner` is the name of a provisioning instance or a hub. */
export interface AccessPolicyRow {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

/** One certificate slot of an X.509 attestation, stored as DER so that nothing about it can drift. */
export interface StoredCertificate {
  readonly der: Uint8Array;
  /** Upper-case hex. */
  readonly sha256: string;
  /** Upper-case hex of the signed part alone, by which a presented leaf is found whatever its signature is written like. */
  readonly tbsSha256: string;
}

/** Attestation as stored: certificates parsed to DER, keys present. Secrets never leave through GET. */
export type StoredAttestation =
  | {
      readonly type: 'x509';
      readonly form: 'clientCertificates' | 'signingCertificates';
      readonly primary?: StoredCertificate;
      readonly secondary?: StoredCertificate;
    }
  | { readonly type: 'x509'; readonly form: 'caReferences'; readonly primaryName?: string; readonly secondaryName?: string }
  | { readonly type: 'symmetricKey'; readonly primaryKey: string; readonly secondaryKey: string }
  | { readonly type: 'tpm'; readonly endorsementKey: string; readonly storageRootKey?: string };

/** An enrollment as stored. `id` keeps the case it was created with; lookups ignore case. */
export interface EnrollmentRow {
  readonly kind: 'individual' | 'group';
  readonly instance: string;
  readonly id: string;
  readonly etag: string;
  readonly attestation: StoredAttestation;
  readonly provisioningStatus: 'enabled' | 'disabled';
  readonly reprovisionPolicy: ReprovisionPolicy;
  readonly allocationPolicy?: AllocationPolicy;
  readonly iotHubs?: readonly string[];
  readonly iotHubHostName?: string;
  readonly customAllocationDefinition?: { readonly webhookUrl: string; readonly apiVersion: string };
  readonly initialTwin?: InitialTwin;
  readonly capabilities: { readonly iotEdge: boolean };
  /** Individual only. */
  readonly deviceId?: string;
  readonly optionalDeviceInformation?: JsonObject;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** One record per registration id, individual or through a group. */
export interface RegistrationRow {
  readonly instance: string;
  readonly registrationId: string;
  readonly etag: string;
  readonly enrollmentKind: 'individual' | 'group';
  readonly enrollmentId: string;
  readonly status: RegistrationStatus;
  readonly substatus?: RegistrationSubstatus;
  readonly assignedHub?: string;
  readonly deviceId?: string;
  readonly errorCode?: number;
  readonly errorMessage?: string;
  readonly payload?: JsonObject;
  /** Upper-case hex of the leaf that was used last; absent for keys. */
  readonly leafSha256?: string;
  /** base64 of the hub's key, sealed for the TPM that registered last; absent for anything but a TPM. */
  readonly tpmAuthenticationKey?: string;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** A registration in progress or ended, found again by the poll. Kept for at least an hour. */
export interface OperationRow {
  readonly instance: string;
  readonly operationId: string;
  readonly registrationId: string;
  readonly createdAt: Instant;
  /** Absent while assigning. */
  readonly outcome?: 'done';
  /** Under which the reasons are kept; with `request`. */
  readonly trackingId?: string;
  /** What the device asked, credentials included, for whoever goes on with it, after a restart too. Absent once it has ended. */
  readonly request?: JsonObject;
}

/** A CA certificate uploaded to an instance. */
export interface CaCertificateRow {
  readonly instance: string;
  readonly name: string;
  readonly etag: string;
  readonly der: Uint8Array;
  readonly sha256: string;
  readonly isVerified: boolean;
  readonly verificationCode?: string;
  /** Present with `verificationCode`: from then on it proves nothing. */
  readonly verificationCodeExpiresAt?: Instant;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** A hub linked to an instance; `hostName` identifies it. */
export interface LinkedHubRow {
  readonly instance: string;
  readonly hostName: string;
  readonly location: string;
  readonly applyAllocationPolicy: boolean;
  /** 1..1000. */
  readonly allocationWeight: number;
}

/** A decision that a device got, kept so that its tracking id resolves to the reasons. */
export interface DecisionRow {
  readonly trackingId: string;
  readonly instance: string;
  readonly registrationId: string;
  readonly at: Instant;
  readonly transport: TransportName;
  readonly verdict: string;
  readonly trace: Json;
  /** The operation that it began; devices log that one, too. */
  readonly operationId?: string;
}

/** Which enrollments could match what a device presented; the store answers from indexes. */
export interface EnrollmentStore {
  get(kind: 'individual' | 'group', instance: string, id: string): Promise<EnrollmentRow | undefined>;
  /** Individual enrollments whose primary or secondary client certificate has a signed part with this SHA-256. */
  byLeaf(instance: string, tbsSha256: string): Promise<readonly EnrollmentRow[]>;
  /** Groups whose in-line signing certificate has one of these SHA-256. */
  groupsBySigningSha256(instance: string, sha256s: readonly string[]): Promise<readonly EnrollmentRow[]>;
  /** Groups that refer to one of these CA certificates by name. */
  groupsByCaName(instance: string, names: readonly string[]): Promise<readonly EnrollmentRow[]>;
  /** Every in-line signing certificate of every group: the anchors an operator put there, and issuers to complete paths with. */
  signingCertificates(instance: string): Promise<readonly StoredCertificate[]>;
  /** Every group with a symmetric key, by id. */
  symmetricKeyGroups(instance: string): Promise<readonly EnrollmentRow[]>;
  list(kind: 'individual' | 'group', instance: string, page: PageRequest): Promise<Page<EnrollmentRow>>;
  /** How many there are, with this type of attestation or any. */
  count(kind: 'individual' | 'group', instance: string, type?: StoredAttestation['type']): Promise<number>;
  /** Throws `DpsEnrollmentExists` when the id is taken. */
  insert(row: EnrollmentRow): Promise<void>;
  /** Compare-and-set on `expectedEtag` in one statement (`undefined` = unconditional); throws `DpsPreconditionFailed` or `DpsEnrollmentNotFound`. */
  replace(row: EnrollmentRow, expectedEtag: string | undefined): Promise<void>;
  delete(kind: 'individual' | 'group', instance: string, id: string, expectedEtag: string | undefined): Promise<void>;
  /** A number that grows with every write to groups or CA certificates of the instance; for caches of parsed anchors and of groups with a key. */
  trustVersion(instance: string): Promise<number>;
}

export interface RegistrationStore {
  get(instance: string, registrationId: string): Promise<RegistrationRow | undefined>;
  put(row: RegistrationRow): Promise<void>;
  /** Throws `DpsRecordNotFound` or `DpsPreconditionFailed`. */
  delete(instance: string, registrationId: string, expectedEtag: string | undefined): Promise<void>;
  /** Every record of the instance, by id. */
  list(instance: string, page: PageRequest): Promise<Page<RegistrationRow>>;
  listByGroup(instance: string, enrollmentGroupId: string, page: PageRequest): Promise<Page<RegistrationRow>>;
  /** How many records there are. */
  count(instance: string): Promise<number>;
  /** Records, of whatever instance, whose last leaf this was, or that led to this device id; at most 100. */
  find(by: { readonly leafSha256: string } | { readonly deviceId: string }): Promise<readonly RegistrationRow[]>;
  getOperation(instance: string, operationId: string): Promise<OperationRow | undefined>;
  putOperation(row: OperationRow): Promise<void>;
  /** The operation of this device that has no outcome yet; there is at most one. */
  runningOperation(instance: string, registrationId: string): Promise<OperationRow | undefined>;
  /** Operations, of whatever instance, that have no outcome yet and keep a request: what a restart has to go on with. */
  unfinishedOperations(page: PageRequest): Promise<Page<Pick<OperationRow, 'instance' | 'operationId'>>>;
  /** Ends all that have no outcome and kept no request; returns how many. */
  endRequestlessOperations(): Promise<number>;
  /** Removes ended operations created before `before`; returns how many. */
  forgetOperations(before: Instant): Promise<number>;
}

export interface CaCertificateStore {
  get(instance: string, name: string): Promise<CaCertificateRow | undefined>;
  list(instance: string): Promise<readonly CaCertificateRow[]>;
  /** Throws `ResourceExists` when the name is taken. */
  insert(row: CaCertificateRow): Promise<void>;
  /** As for enrollments; throws `ResourceNotFound` or `DpsPreconditionFailed`. */
  replace(row: CaCertificateRow, expectedEtag: string | undefined): Promise<void>;
  delete(instance: string, name: string, expectedEtag: string | undefined): Promise<void>;
}

export interface InstanceStore {
  get(name: string): Promise<ProvisioningInstance | undefined>;
  list(): Promise<readonly ProvisioningInstance[]>;
  insert(instance: ProvisioningInstance): Promise<void>;
  /**
   * Changes allocation policy, IP filter and entity tag of the instance of that name, by compare-and-set (`undefined` =
   * unconditional). Throws `ResourceNotFound` or `DpsPreconditionFailed`.
   */
  update(instance: ProvisioningInstance, expectedEtag: string | undefined): Promise<void>;
  policies(name: string): Promise<readonly AccessPolicyRow[]>;
  putPolicy(name: string, policy: AccessPolicyRow): Promise<void>;
  /** `keyName` as it is stored. Throws `ResourceNotFound`. */
  deletePolicy(name: string, keyName: string): Promise<void>;
  linkedHubs(name: string): Promise<readonly LinkedHubRow[]>;
  putLinkedHub(hub: LinkedHubRow): Promise<void>;
  /** Throws `ResourceNotFound`. */
  deleteLinkedHub(name: string, hostName: string): Promise<void>;
}

export interface DecisionStore {
  /** One with the tracking id of an earlier one takes its place: a registration that had to wait has ended. */
  append(row: DecisionRow): Promise<void>;
  /** By its tracking id, or by the operation that it began. */
  get(id: string): Promise<DecisionRow | undefined>;
  /**
   * Removes decisions older than `before`, and of the rest all but the newest `keep`, so that a flood of refusals cannot
   * fill the disk; returns how many. An index on `at` makes it cheap.
   */
  prune(bounds: { readonly before: Instant; readonly keep: number }): Promise<number>;
}

/** What attestation with a TPM has to remember. */
export interface TpmStore {
  /** From which the keys of an instance's TPMs follow; absent until the first one came. */
  secret(instance: string): Promise<Uint8Array | undefined>;
  /** Keeps the one that is there, if there is one. */
  putSecret(instance: string, secret: Uint8Array): Promise<void>;
  /** TPM2B_PUBLIC of the storage root keys that came with the device's challenges, the latest first. */
  storageRootKeys(instance: string, registrationId: string): Promise<readonly Uint8Array[]>;
  /** Keeps the latest `keep` of the device, and the one that was proven last, however many came after it. */
  rememberStorageRootKey(shown: ShownStorageRootKey, keep: number): Promise<void>;
  /** A token proved that the TPM holds it; does nothing for one that is not remembered. */
  proveStorageRootKey(proven: ShownStorageRootKey): Promise<void>;
  /** Removes those last shown before `before`; returns how many. */
  forgetStorageRootKeys(before: Instant): Promise<number>;
}

export interface ShownStorageRootKey {
  readonly instance: string;
  readonly registrationId: string;
  readonly storageRootKey: Uint8Array;
  readonly at: Instant;
}

/** What a device presented when it last proved to be itself, so that its next decision can be foretold. Goes with its record. */
export interface PresentedCertificateStore {
  /** DER, leaf first. */
  get(instance: string, registrationId: string): Promise<readonly Uint8Array[] | undefined>;
  /** The record has to be there. */
  put(instance: string, registrationId: string, presented: PresentedCertificates): Promise<void>;
  /** Registration ids, of whatever instance, whose certificate has this key; at most 10. */
  withKey(publicKeySha256: string): Promise<readonly string[]>;
}

export interface PresentedCertificates {
  readonly leafSha256: string;
  readonly publicKeySha256: string;
  readonly certificates: readonly Uint8Array[];
}

/**
 * What provisioning asks of a hub, in the same transaction as the registration record. Joined in `compose.ts`. Every
 * method throws `IotHubNotFound` for a host that is no hub.
 */
export interface HubAssignments {
  /**
   * Creates the identity, or refreshes the credential of an existing one (twin kept). `initialTwin` is applied only to a
   * new identity. Returns whether it was created.
   */
  assign(assignment: DeviceAssignment): Promise<{ readonly created: boolean }>;
  /** Whether the hub has this identity. */
  has(hubHostName: string, deviceId: string): Promise<boolean>;
  /** Moves identity, capabilities and twin from one hub to another; credential as in `assignment`. A ban goes along. */
  migrate(fromHubHostName: string, assignment: DeviceAssignment): Promise<void>;
  /** Moves the identity alone: capabilities and twin begin as `assignment` has them. A ban goes along all the same. */
  reset(fromHubHostName: string, assignment: DeviceAssignment): Promise<void>;
}

export interface DeviceAssignment {
  readonly hubHostName: string;
  readonly deviceId: string;
  readonly credential:
    | { readonly type: 'selfSigned'; readonly primaryThumbprint: string }
    | { readonly type: 'sas'; readonly primaryKey: string; readonly secondaryKey: string };
  readonly iotEdge: boolean;
  readonly initialTwin?: InitialTwin;
}

/** Everything provisioning may read or write in one transaction. */
export interface ProvisioningTransaction {
  readonly enrollments: EnrollmentStore;
  readonly registrations: RegistrationStore;
  readonly caCertificates: CaCertificateStore;
  readonly instances: InstanceStore;
  readonly decisions: DecisionStore;
  readonly tpm: TpmStore;
  readonly presented: PresentedCertificateStore;
  readonly blocks: BlockLookup & Pick<BlockStore, 'useReadmission'>;
  readonly hubs: HubAssignments;
  readonly refusals: Pick<RefusalStore, 'append' | 'prune'>;
  readonly events: EventSink;
  /** For changes that no row shows by itself. */
  readonly changes: ChangeRecorder;
  /** Runs after the commit is durable; never when it failed. */
  afterCommit(effect: () => void): void;
}

/** Calls custom allocation webhooks: the one thing that provisioning asks of the world outside. */
export interface AllocationWebhooks {
  /**
   * Sends `body` (JSON) with POST and waits for the answer, within bounds of time and size. Follows no redirect. Whatever
   * goes wrong out there is a result; throws only for a bug. `signal` ends it early.
   */
  call(call: {
    readonly url: string;
    readonly body: string;
    readonly trackingId: string;
    readonly signal: AbortSignal;
  }): Promise<WebhookResult>;
}

export type WebhookResult = (
  | { readonly kind: 'answered'; readonly status: number; readonly body: string }
  | {
      readonly kind: 'failed';
      readonly reason: 'unreachable' | 'timed-out' | 'broken-off' | 'too-large' | 'stopped';
      /** For operators: a sentence. */
      readonly detail: string;
    }
) & { readonly elapsed: Milliseconds };

/**
 * Where provisioning keeps its state. `read` sees committed state; `write` resolves after the commit is durable, and what it
 * changed is in the audit trail on behalf of `cause`, or of the service itself.
 */
export interface ProvisioningStorage {
  readonly read: Omit<ProvisioningTransaction, 'hubs' | 'refusals' | 'events' | 'changes' | 'afterCommit'>;
  write<T>(work: (transaction: ProvisioningTransaction) => Promise<T>, cause?: Cause): Promise<T>;
}
