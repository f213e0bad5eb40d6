import type { Kysely } from 'kysely';

import type { SelectorKey, SelectorKind } from '../../blocks/block.ts';
import type { AllocationPolicy, InitialTwin, RegistrationStatus, RegistrationSubstatus } from '../../contracts/dps/enrollment.ts';
import type { IpFilterRule } from '../../contracts/dps/ip-filter-rule.ts';
import type { AuthenticationType } from '../../contracts/hub/device.ts';
import type { FeedbackRecord } from '../../contracts/hub/message.ts';
import type { TransportName } from '../../contracts/transport.ts';
import type { ReceiptKind, RunItemState, RunKind } from '../../fleet/ports.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { OperationRow, StoredAttestation } from '../../provisioning/ports.ts';
import type { AuditTables } from './audit-schema.ts';
import type { EventTables } from './event-schema.ts';
import type { PresenceTable } from './presence-table.ts';

/**
 * The tables as the query builder sees them. Conventions, the same for every database:
 *
 * - `*_key` columns hold the lower-case form of a name that compares without case; the column without `_key` holds it as given.
 * - Instants are epoch milliseconds, flags are 0 or 1, JSON is text, certificates and bodies are bytes.
 * - Nothing that a query filters or orders by lives inside JSON.
 */
export interface SqlTables extends AuditTables, EventTables {
  readonly store_state: StoreStateTable;
  readonly provisioning_instance: ProvisioningInstanceTable;
  readonly provisioning_policy: PolicyColumns & { readonly instance_key: string };
  readonly linked_hub: LinkedHubTable;
  readonly enrollment: EnrollmentTable;
  readonly enrollment_certificate: EnrollmentCertificateTable;
  readonly registration: RegistrationTable;
  readonly registration_operation: RegistrationOperationTable;
  readonly tpm_secret: TpmSecretTable;
  readonly tpm_storage_root_key: TpmStorageRootKeyTable;
  readonly ca_certificate: CaCertificateTable;
  readonly decision: DecisionTable;
  readonly presented_certificate: PresentedCertificateTable;
  readonly block: BlockTable;
  readonly block_selector: BlockSelectorTable;
  readonly receipt: ReceiptTable;
  readonly fleet_run: FleetRunTable;
  readonly fleet_run_item: FleetRunItemTable;
  readonly hub_decision: HubDecisionTable;
  readonly hub: HubTable;
  readonly hub_policy: PolicyColumns & { readonly hub_key: string };
  readonly device: DeviceTable;
  readonly twin: TwinTable;
  readonly telemetry: TelemetryTable;
  readonly telemetry_counter: TelemetryCounterTable;
  readonly queued_message: QueuedMessageTable;
  readonly queue_counter: QueueCounterTable;
  readonly feedback_record: FeedbackRecordTable;
  readonly subscription: SubscriptionTable;
  readonly presence: PresenceTable;
}

/** Whatever runs queries: a connection, or the transaction of a group of writes. */
export type SqlExecutor = Kysely<SqlTables>;

type Flag = number;
type EpochMilliseconds = Instant;
/** JSON as text; `T` is what it was written from. */
export type JsonText<T> = string & { readonly __json: T };
type EnrollmentKind = 'individual' | 'group';
type AttestationForm = Extract<StoredAttestation, { readonly type: 'x509' }>['form'];

/** One row: whether the last process that had this database open said goodbye. */
export interface StoreStateTable {
  id: number;
  clean_shutdown: Flag;
  changed_at: EpochMilliseconds;
}

export interface PolicyColumns {
  key_name: string;
  primary_key: string;
  secondary_key: string;
  rights: JsonText<readonly string[]>;
}

export interface ProvisioningInstanceTable {
  name_key: string;
  name: string;
  host_name: string;
  id_scope: string;
  allocation_policy: AllocationPolicy;
  created_at: EpochMilliseconds;
  trust_version: number;
  etag: string;
  ip_filter_rules: JsonText<readonly IpFilterRule[]>;
}

export interface LinkedHubTable {
  instance_key: string;
  host_key: string;
  instance: string;
  host_name: string;
  location: string;
  apply_allocation_policy: Flag;
  allocation_weight: number;
}

export interface EnrollmentTable {
  instance_key: string;
  kind: EnrollmentKind;
  enrollment_key: string;
  instance: string;
  enrollment_id: string;
  etag: string;
  attestation_type: StoredAttestation['type'];
  attestation_form: AttestationForm | null;
  symmetric_primary_key: string | null;
  symmetric_secondary_key: string | null;
  tpm_endorsement_key: string | null;
  tpm_storage_root_key: string | null;
  provisioning_status: 'enabled' | 'disabled';
  update_hub_assignment: Flag;
  migrate_device_data: Flag;
  allocation_policy: AllocationPolicy | null;
  iot_hubs: JsonText<readonly string[]> | null;
  iot_hub_host_name: string | null;
  webhook_url: string | null;
  webhook_api_version: string | null;
  initial_twin: JsonText<InitialTwin> | null;
  iot_edge: Flag;
  device_id: string | null;
  optional_device_information: JsonText<JsonObject> | null;
  created_at: EpochMilliseconds;
  updated_at: EpochMilliseconds;
}

/** The primary and secondary slot of an X.509 attestation: a certificate, or the name of a CA certificate. */
export interface EnrollmentCertificateTable {
  instance_key: string;
  kind: EnrollmentKind;
  enrollment_key: string;
  slot: 'primary' | 'secondary';
  form: AttestationForm;
  sha256: string | null;
  tbs_sha256: string | null;
  der: Uint8Array | null;
  ca_key: string | null;
  ca_name: string | null;
}

export interface RegistrationTable {
  instance_key: string;
  registration_key: string;
  instance: string;
  registration_id: string;
  etag: string;
  enrollment_kind: EnrollmentKind;
  enrollment_key: string;
  enrollment_id: string;
  status: RegistrationStatus;
  substatus: RegistrationSubstatus | null;
  assigned_hub: string | null;
  device_id: string | null;
  error_code: number | null;
  error_message: string | null;
  payload: JsonText<JsonObject> | null;
  leaf_sha256: string | null;
  tpm_authentication_key: string | null;
  created_at: EpochMilliseconds;
  updated_at: EpochMilliseconds;
}

export interface RegistrationOperationTable {
  instance_key: string;
  operation_id: string;
  instance: string;
  registration_id: string;
  created_at: EpochMilliseconds;
  outcome: NonNullable<OperationRow['outcome']> | null;
  /** Absent in rows that an older version wrote. */
  registration_key: string | null;
  tracking_id: string | null;
  /** What the device sent, credentials included, while the operation is under way. */
  request: JsonText<JsonObject> | null;
}

export interface TpmSecretTable {
  instance_key: string;
  secret: Uint8Array;
}

/** Storage root keys that devices have shown with their endorsement key. */
export interface TpmStorageRootKeyTable {
  instance_key: string;
  registration_key: string;
  storage_root_key: Uint8Array;
  seen_at: EpochMilliseconds;
  proven_at: EpochMilliseconds | null;
}

export interface CaCertificateTable {
  instance_key: string;
  name_key: string;
  instance: string;
  name: string;
  etag: string;
  der: Uint8Array;
  sha256: string;
  is_verified: Flag;
  verification_code: string | null;
  verification_code_expires_at: EpochMilliseconds | null;
  created_at: EpochMilliseconds;
  updated_at: EpochMilliseconds;
}

export interface DecisionTable {
  tracking_id: string;
  instance: string;
  registration_id: string;
  decided_at: EpochMilliseconds;
  transport: TransportName;
  verdict: string;
  trace: JsonText<Json>;
  operation_id: string | null;
}

/** What a device presented when it registered last: base64 of DER, leaf first. */
export interface PresentedCertificateTable {
  instance_key: string;
  registration_key: string;
  leaf_sha256: string;
  public_key_sha256: string;
  certificates: JsonText<readonly string[]>;
}

export interface BlockTable {
  block_id: string;
  reason: string;
  ticket: string | null;
  created_by: string;
  created_at: EpochMilliseconds;
  expires_at: EpochMilliseconds | null;
  receipt_id: string | null;
  readmit_until: EpochMilliseconds | null;
  readmitted_at: EpochMilliseconds | null;
  /** When the audit trail was told that the block had ended. */
  expiry_noted_at: EpochMilliseconds | null;
}

export interface BlockSelectorTable {
  selector_key: SelectorKey;
  block_id: string;
  kind: SelectorKind;
  value: string;
  ordinal: number;
}

/** `undo` holds what a reinstatement puts back, keys included; it never leaves the service. */
export interface ReceiptTable {
  receipt_id: string;
  kind: ReceiptKind;
  device: string;
  device_key: string;
  created_by: string;
  created_at: EpochMilliseconds;
  body: JsonText<Json>;
  undo: JsonText<Json> | null;
  undone_by: string | null;
}

export interface FleetRunTable {
  run_id: string;
  kind: RunKind;
  request: JsonText<Json>;
  created_by: string;
  created_at: EpochMilliseconds;
  finished_at: EpochMilliseconds | null;
}

export interface FleetRunItemTable {
  run_id: string;
  ordinal: number;
  target: string;
  state: RunItemState;
  receipt_id: string | null;
  message: string | null;
}

export interface HubDecisionTable {
  tracking_id: string;
  hub: string;
  device_id: string;
  decided_at: EpochMilliseconds;
  transport: TransportName;
  error: string;
  trace: JsonText<Json>;
}

export interface HubTable {
  name_key: string;
  name: string;
  host_name: string;
  created_at: EpochMilliseconds;
}

/** `device_id` compares with case, unlike everything on the provisioning side; that of a module is its path. */
export interface DeviceTable {
  hub_key: string;
  device_id: string;
  hub: string;
  generation_id: string;
  etag_counter: number;
  status: 'enabled' | 'disabled';
  status_reason: string | null;
  status_updated_at: EpochMilliseconds | null;
  authentication_type: AuthenticationType;
  primary_key: string | null;
  secondary_key: string | null;
  primary_thumbprint: string | null;
  secondary_thumbprint: string | null;
  iot_edge: Flag;
  created_at: EpochMilliseconds;
  /** Id of the device, for a module; its `device_id` is `{device}/{module}`. */
  module_of: string | null;
  managed_by: string | null;
  device_scope: string | null;
  parent_scope: string | null;
  provisioned: Flag;
}

export interface TwinTable {
  hub_key: string;
  device_id: string;
  hub: string;
  etag_counter: number;
  version: number;
  tags: JsonText<JsonObject>;
  desired_version: number;
  desired_properties: JsonText<JsonObject>;
  desired_metadata: JsonText<JsonObject>;
  reported_version: number;
  reported_properties: JsonText<JsonObject>;
  reported_metadata: JsonText<JsonObject>;
  model_id: string | null;
}

export interface TelemetryTable {
  hub_key: string;
  sequence_number: number;
  hub: string;
  device_id: string;
  generation_id: string;
  enqueued_at: EpochMilliseconds;
  source: string;
  auth_method: string;
  body: Uint8Array;
  system_properties: JsonText<Readonly<Record<string, string>>>;
  application_properties: JsonText<Readonly<Record<string, string>>>;
}

/** The last sequence number given out per hub: a counter, so that numbers are never reused when old messages are dropped. */
export interface TelemetryCounterTable {
  hub_key: string;
  last_sequence: number;
}

/** `queue` compares with case: it holds a device id. `device_id` is NULL in queues that belong to no device. */
export interface QueuedMessageTable {
  hub_key: string;
  queue: string;
  sequence_number: number;
  hub: string;
  device_id: string | null;
  generation_id: string;
  body: Uint8Array;
  system_properties: JsonText<Readonly<Record<string, string>>>;
  application_properties: JsonText<Readonly<Record<string, string>>>;
  enqueued_at: EpochMilliseconds;
  expires_at: EpochMilliseconds;
  delivery_count: number;
  lock_token: string | null;
  locked_until: EpochMilliseconds | null;
  lock_receiver: string | null;
}

export interface QueueCounterTable {
  hub_key: string;
  queue: string;
  device_id: string | null;
  last_number: number;
}

export interface FeedbackRecordTable {
  hub_key: string;
  record_number: number;
  recorded_at: EpochMilliseconds;
  record: JsonText<FeedbackRecord>;
}

/** What the last connection of a device subscribed to. */
export interface SubscriptionTable {
  hub_key: string;
  device_id: string;
  filters: JsonText<[filter: string, qos: 0 | 1][]>;
}
