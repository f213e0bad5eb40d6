import type {
  AllocationPolicy,
  AttestationMechanism,
  DeviceRegistrationResult,
  DeviceRegistrationState,
  EnrollmentGroup,
  IndividualEnrollment,
  RegistrationOperationStatus,
} from '../contracts/dps/enrollment.ts';
import type { ReadmissionGuard } from '../contracts/fleet/readmission.ts';
import type { IpFilterRule } from '../contracts/dps/ip-filter-rule.ts';
import type { ProvisioningRight } from '../contracts/dps/rights.ts';
import type { Cause } from '../audit/actor.ts';
import type { PeerInfo, PresentedCredentials } from '../contracts/transport.ts';
import type { Json } from '../kernel/json.ts';
import type { Page, PageRequest } from '../kernel/page.ts';
import type { Precondition } from '../kernel/precondition.ts';
import type { Inquired, Inquiry, JudgeStores } from './judge.ts';
import type { Rehearsal, RehearsalGround } from './rehearsal/rehearsal.ts';

/** A device's request to register, or to ask about it, in words that no transport owns. */
export interface DeviceRequest {
  readonly idScope: string;
  readonly registrationId: string;
  readonly credentials: PresentedCredentials;
  readonly peer: PeerInfo;
  /** Of the device API, well-formed; absent where a client named none. */
  readonly apiVersion?: string;
}

export interface RegisterRequest extends DeviceRequest {
  /** The parsed JSON body, `undefined` when it was empty. Checked here: an id that differs is refused. */
  readonly body?: Json;
}

/** 202 with `retryAfterSeconds` while `pending`, else 200; there it is a hint to a device that is shut out and keeps trying. */
export interface RegistrationAnswer {
  readonly pending: boolean;
  readonly retryAfterSeconds?: number;
  readonly body: RegistrationOperationStatus;
  /** Under which the reasons are kept; absent for a poll that was answered from the record. */
  readonly trackingId?: string;
}

/** The device API. Every method throws `ServiceError` for a refusal that the wire shows as an error. */
export interface DeviceRegistrations {
  register(request: RegisterRequest): Promise<RegistrationAnswer>;
  operationStatus(request: DeviceRequest & { readonly operationId: string }): Promise<RegistrationAnswer>;
  lookup(request: RegisterRequest): Promise<DeviceRegistrationResult>;
}

/** A page of what a query of the service API selects; without a query, of everything. */
export interface QueryRequest extends PageRequest {
  /** Unchecked text; throws `DpsBadRequest` when it cannot be read. */
  readonly query?: string;
}
/** What a device gets that has shown the public keys of its TPM: a key to sign with, or the word that it is disabled. */
export type TpmAnswer =
  | {
      readonly kind: 'challenge';
      /** base64 of a key sealed for the TPM. */
      readonly authenticationKey: string;
      readonly keyName: string;
      readonly trackingId: string;
    }
  | { readonly kind: 'disabled'; readonly body: RegistrationOperationStatus };

/** Attestation with a TPM begins with a challenge, which only its TPM can open. Throws `ServiceError`. */
export interface TpmChallenges {
  /** For the public keys in the body of a request to register that carries no other credential. */
  challenge(request: RegisterRequest): Promise<TpmAnswer>;
  /**
   * The sealed key alone, whether the device is enrolled or not: where the verdict can only be told to the registration that
   * follows. It is of no use to any TPM but that one. Refused as a challenge is where the id scope, the syntax of the id, the
   * IP filter or the rate of registrations says so.
   */
  sealedKey(device: {
    readonly idScope: string;
    readonly registrationId: string;
    readonly endorsementKey: Uint8Array;
    readonly storageRootKey: Uint8Array;
    readonly peer: PeerInfo;
  }): Promise<Uint8Array>;
}

/** Which enrollment. */
export interface EntryName {
  readonly kind: 'individual' | 'group';
  readonly id: string;
}

/** Individual enrollments or groups of one instance; `T` is the wire shape. Bodies come in as parsed but unchecked JSON. */
export interface Enrollments<T> {
  /** Without secrets; an individual one embeds its registration state. */
  get(instance: string, id: string): Promise<T>;
  /** Creates (precondition absent) or updates; the answer shows symmetric keys. Throws `DpsBadRequest` naming the field. */
  put(instance: string, id: string, change: { readonly body: Json; readonly precondition: Precondition }): Promise<T>;
  delete(instance: string, id: string, precondition: Precondition): Promise<void>;
  /** Ordered by id, without registration state. */
  list(instance: string, request: QueryRequest): Promise<Page<T>>;
  /** Those of these entries that can never decide, because others decide before them (`shadows.ts`); by id, with the others. */
  shadowed(instance: string, ids: readonly string[]): Promise<ReadonlyMap<string, readonly EntryName[]>>;
  /** With keys. */
  attestation(instance: string, id: string): Promise<AttestationMechanism>;
}

export interface RegistrationRecords {
  get(instance: string, registrationId: string): Promise<DeviceRegistrationState>;
  delete(instance: string, registrationId: string, precondition: Precondition): Promise<void>;
  /** Ordered by id, of groups and of individual enrollments. */
  list(instance: string, request: QueryRequest): Promise<Page<DeviceRegistrationState>>;
  /** Throws nothing for a group that does not exist: its records outlive it. */
  listByGroup(instance: string, enrollmentGroupId: string, request: QueryRequest): Promise<Page<DeviceRegistrationState>>;
}

/** `CertificateResponse` of the control plane, chapter 5.3. Dates are ISO here. */
export interface CaCertificateDescription {
  readonly name: string;
  readonly etag: string;
  readonly properties: {
    readonly subject: string;
    readonly expiry: string;
    readonly thumbprint: string;
    readonly isVerified: boolean;
    /** base64 DER. */
    readonly certificate: string;
    readonly created: string;
    readonly updated: string;
    readonly verificationCode?: string;
  };
}

export interface CaCertificates {
  list(instance: string): Promise<readonly CaCertificateDescription[]>;
  get(instance: string, name: string): Promise<CaCertificateDescription>;
  /**
   * `certificate` in any upload form; precondition absent creates. Throws `ResourceInUse` where another certificate would
   * take the place of one that a disabled group refers to, unless `force` is set.
   */
  put(
    instance: string,
    name: string,
    change: { readonly certificate: string; readonly isVerified: boolean; readonly precondition: Precondition; readonly force?: boolean },
  ): Promise<CaCertificateDescription>;
  generateVerificationCode(instance: string, name: string, precondition: Precondition): Promise<CaCertificateDescription>;
  verify(
    instance: string,
    name: string,
    proof: { readonly certificate: string; readonly precondition: Precondition },
  ): Promise<CaCertificateDescription>;
  /** Throws `ResourceInUse` where a disabled group refers to it, since its deny would be lifted, unless `force` is set. */
  delete(instance: string, name: string, order: { readonly precondition: Precondition; readonly force?: boolean }): Promise<void>;
}

export interface LinkedHub {
  readonly hostName: string;
  readonly location: string;
  readonly applyAllocationPolicy: boolean;
  readonly allocationWeight: number;
}

export interface InstanceDescription {
  readonly name: string;
  readonly hostName: string;
  readonly idScope: string;
  readonly allocationPolicy: AllocationPolicy;
  readonly iotHubs: readonly LinkedHub[];
  /** Quoted; advances with every change to the instance, its policies and its links. */
  readonly etag: string;
  readonly ipFilterRules: readonly IpFilterRule[];
}

export interface PolicyDescription {
  readonly keyName: string;
  readonly primaryKey: string;
  readonly secondaryKey: string;
  readonly rights: readonly string[];
}

export interface Instances {
  list(): Promise<readonly InstanceDescription[]>;
  get(name: string): Promise<InstanceDescription>;
  /** Which instance serves this host name (port stripped, no case); the only one, when a single instance exists. */
  byHost(host: string): Promise<InstanceDescription | undefined>;
  /** Creates with a fresh id scope and the policy `provisioningserviceowner`; an existing one of the same name and host is returned as it is. */
  create(input: { readonly name: string; readonly hostName: string }): Promise<InstanceDescription>;
  policies(name: string): Promise<readonly PolicyDescription[]>;
  /** Changes what is given. Throws `DpsBadRequest` naming the field, or `DpsPreconditionFailed`. */
  update(
    name: string,
    change: {
      readonly allocationPolicy?: Exclude<AllocationPolicy, 'custom'>;
      readonly ipFilterRules?: readonly IpFilterRule[];
      readonly precondition: Precondition;
    },
  ): Promise<InstanceDescription>;
  /** The precondition is about the instance. */
  linkHub(name: string, hub: LinkedHub, precondition?: Precondition): Promise<InstanceDescription>;
  /** Throws `ResourceNotFound`. */
  unlinkHub(name: string, hostName: string, precondition?: Precondition): Promise<InstanceDescription>;
}

/** What is absent stays, or is made; an empty key is made anew. */
export interface PolicyChange {
  readonly rights?: readonly string[];
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
}

/**
 * Shared access policies, named without regard to case. Preconditions are about the instance. Throws `DpsBadRequest`,
 * `ResourceNotFound`, `ResourceExists` or `DpsPreconditionFailed`.
 */
export interface AccessPolicies {
  /** The owner's first, then by name. */
  list(instance: string): Promise<readonly PolicyDescription[]>;
  get(instance: string, keyName: string): Promise<PolicyDescription>;
  create(instance: string, keyName: string, policy: PolicyChange & { readonly precondition: Precondition }): Promise<PolicyDescription>;
  update(instance: string, keyName: string, change: PolicyChange & { readonly precondition: Precondition }): Promise<PolicyDescription>;
  renewKey(
    instance: string,
    keyName: string,
    order: { readonly key: 'primary' | 'secondary' | 'swap'; readonly precondition: Precondition },
  ): Promise<PolicyDescription>;
  delete(instance: string, keyName: string, precondition: Precondition): Promise<void>;
}

/** What operators do. */
export interface ProvisioningAdministration {
  readonly individualEnrollments: Enrollments<IndividualEnrollment>;
  readonly enrollmentGroups: Enrollments<EnrollmentGroup>;
  readonly records: RegistrationRecords;
  readonly caCertificates: CaCertificates;
  readonly instances: Instances;
  readonly policies: AccessPolicies;
}

/** Domain 1 as bindings see it. As an administration it acts as the service itself. */
export interface Provisioning extends ProvisioningAdministration {
  readonly registrations: DeviceRegistrations;
  readonly tpmChallenges: TpmChallenges;
  /**
   * The administration in the hands of somebody: every change is in the audit trail on behalf of `cause`. `guard` is told of
   * devices that come back when a disabled enrollment is deleted or changed, or has such a change refused.
   */
  as(cause: Cause, guard?: ReadmissionGuard): ProvisioningAdministration;
  /**
   * The decision that a registration would get now, with the question that it answers; acts on nothing and keeps nothing. By
   * what is committed, or by the stores of a transaction.
   */
  inquire(inquiry: Inquiry, stores?: JudgeStores): Promise<Inquired>;
  /** This domain, with the settings that it has, inside a transaction that is to be rolled back: for asking what would be. */
  rehearse(ground: RehearsalGround): Rehearsal;
  /**
   * Checks the peer of a service request by the IP filter, then its `Authorization` header: token valid, resource covers
   * `host` and `path`, policy has the right. What passes counts as a service operation. Resolves with the name of the policy.
   * Throws `DpsUnauthorized`, `DpsForbidden` or `Throttled`.
   */
  authorize(request: {
    readonly instance: string;
    readonly authorization: string | undefined;
    readonly host: string;
    readonly path: string;
    readonly remoteAddress: string;
    readonly right: ProvisioningRight;
  }): Promise<string>;
  /** Asks the webhook of a registration that another process has begun; does nothing for one that is under way. */
  allocate(operation: { readonly instance: string; readonly operationId: string }, origin?: string): void;
  /** Finishes what a crash interrupted and starts housekeeping; returns what it recovered. May be called again when a process is gone. */
  recover(): Promise<{ readonly finishedOperations: number; readonly resumedOperations: number }>;
  /** Ends housekeeping and stops what is under way with webhooks, which the next `recover` goes on with; the store may be closed then. */
  close(): Promise<void>;
}
