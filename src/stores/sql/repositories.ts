import type { AuditKeys } from '../../audit/audit-keys.ts';
import type { AuditStore } from '../../audit/ports.ts';
import type { BlockStore } from '../../blocks/ports.ts';
import type { EventStore } from '../../events/ports.ts';
import type { DriftStore, ReceiptStore, RunStore, TripwireStore } from '../../fleet/ports.ts';
import type {
  DeviceStore,
  FeedbackStore,
  HubDecisionStore,
  HubInstanceStore,
  MessageQueueStore,
  PresenceStore,
  SubscriptionStore,
  TelemetryStore,
  TwinStore,
} from '../../hub/ports.ts';
import type { OperatorTokenStore } from '../../operators/ports.ts';
import type {
  CaCertificateStore,
  DecisionStore,
  EnrollmentStore,
  InstanceStore,
  PresentedCertificateStore,
  RegistrationStore,
  TpmStore,
} from '../../provisioning/ports.ts';
import type { RefusalStore } from '../../refusals/ports.ts';
import { createSqlAuditStore } from './audit-store.ts';
import { createSqlBlockStore } from './block-store.ts';
import { createSqlCaCertificateStore } from './ca-certificate-store.ts';
import { createSqlDecisionStore } from './decision-store.ts';
import { createSqlDeviceStore } from './device-store.ts';
import { createSqlDriftStore } from './drift-store.ts';
import { createSqlEnrollmentStore } from './enrollment-store.ts';
import { createSqlEventStore } from './event-store.ts';
import { createSqlFeedbackStore } from './feedback-store.ts';
import { createSqlHubDecisionStore } from './hub-decision-store.ts';
import { createSqlHubInstanceStore } from './hub-instance-store.ts';
import { createSqlInstanceStore } from './instance-store.ts';
import { createSqlMessageQueueStore } from './message-queue-store.ts';
import { createSqlOperatorTokenStore } from './operator-token-store.ts';
import { createSqlPresenceStore } from './presence-store.ts';
import { createSqlPresentedCertificateStore } from './presented-certificate-store.ts';
import { createSqlReceiptStore } from './receipt-store.ts';
import { createSqlRefusalStore } from './refusal-store.ts';
import { createSqlRegistrationStore } from './registration-store.ts';
import { createSqlRunStore } from './run-store.ts';
import type { SqlExecutor } from './schema.ts';
import { createSqlTelemetryStore } from './telemetry-store.ts';
import { createSqlSubscriptionStore } from './subscription-store.ts';
import { createSqlTpmStore } from './tpm-store.ts';
import { createSqlTripwireStore } from './tripwire-store.ts';
import { createSqlTwinStore } from './twin-store.ts';

/** Every port of all domains, over one connection or transaction. */
export interface SqlRepositories {
  readonly enrollments: EnrollmentStore;
  readonly registrations: RegistrationStore;
  readonly caCertificates: CaCertificateStore;
  readonly instances: InstanceStore;
  readonly decisions: DecisionStore;
  readonly tpm: TpmStore;
  readonly hubs: HubInstanceStore;
  readonly devices: DeviceStore;
  readonly twins: TwinStore;
  readonly telemetry: TelemetryStore;
  readonly hubDecisions: HubDecisionStore;
  readonly presented: PresentedCertificateStore;
  readonly blocks: BlockStore;
  readonly receipts: ReceiptStore;
  readonly runs: RunStore;
  readonly drift: DriftStore;
  readonly queues: MessageQueueStore;
  readonly feedback: FeedbackStore;
  readonly subscriptions: SubscriptionStore;
  readonly tokens: OperatorTokenStore;
  readonly refusals: RefusalStore;
  readonly audit: AuditStore;
  readonly presence: PresenceStore;
  readonly events: EventStore;
  readonly tripwires: TripwireStore;
}

/** `auditKeys` are absent where the trail has no seal. */
export function createRepositories(db: SqlExecutor, auditKeys: AuditKeys | undefined): SqlRepositories {
  return {
    enrollments: createSqlEnrollmentStore(db),
    registrations: createSqlRegistrationStore(db),
    caCertificates: createSqlCaCertificateStore(db),
    instances: createSqlInstanceStore(db),
    decisions: createSqlDecisionStore(db),
    tpm: createSqlTpmStore(db),
    hubs: createSqlHubInstanceStore(db),
    devices: createSqlDeviceStore(db),
    twins: createSqlTwinStore(db),
    telemetry: createSqlTelemetryStore(db),
    hubDecisions: createSqlHubDecisionStore(db),
    presented: createSqlPresentedCertificateStore(db),
    blocks: createSqlBlockStore(db),
    receipts: createSqlReceiptStore(db),
    runs: createSqlRunStore(db),
    drift: createSqlDriftStore(db),
    queues: createSqlMessageQueueStore(db),
    feedback: createSqlFeedbackStore(db),
    subscriptions: createSqlSubscriptionStore(db),
    tokens: createSqlOperatorTokenStore(db),
    refusals: createSqlRefusalStore(db),
    audit: createSqlAuditStore(db, auditKeys),
    presence: createSqlPresenceStore(db),
    events: createSqlEventStore(db),
    tripwires: createSqlTripwireStore(db),
  };
}
