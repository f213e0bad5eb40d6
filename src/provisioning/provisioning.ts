import { type Cause, systemCause } from '../audit/actor.ts';
import type { QuotaNumbers } from '../contracts/quotas.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import type { Regions } from './allocation/regions.ts';
import { createAuthorize } from './authorize.ts';
import { createCaCertificates } from './ca-certificates.ts';
import { createDecisionLog } from './decision-log.ts';
import { createEnrollmentGroups, createIndividualEnrollments } from './enrollments.ts';
import { createHousekeeping } from './housekeeping.ts';
import { createInstances } from './instances.ts';
import { createInquire, createJudge, provenOnly } from './judge.ts';
import { createPendingAllocations, type PendingAllocations } from './pending-allocations.ts';
import { createPolicies } from './policies.ts';
import type { AllocationWebhooks, ProvisioningStorage, ProvisioningTransaction } from './ports.ts';
import { createQuotas, type Quotas, type SharedRates } from './quotas.ts';
import type { ReadmissionDependencies } from './readmission.ts';
import { createRecords } from './records.ts';
import { createRecover } from './recover.ts';
import { createRegistrations, defaultPollAfterSeconds, type RetryHint } from './registrations.ts';
import { createRehearsal } from './rehearsal/rehearsal.ts';
import type { Provisioning, ProvisioningAdministration } from './service.ts';
import { createSettlement } from './settle.ts';
import { createThrottling } from './throttling.ts';
import { createTpmChallenges } from './tpm-challenges.ts';
import { createTrustReader } from './trust-material.ts';

export interface ProvisioningDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Azure's rule: in-line signing certificates count only below (or as) a verified CA certificate. */
  readonly requireVerifiedCa: boolean;
  readonly allocation: {
    readonly webhooks: AllocationWebhooks;
    /** How many webhooks may be asked at a time, and how many may wait; one origin may have a quarter of both. */
    readonly concurrentCalls: number;
    readonly queuedCalls?: number;
    readonly onFullness?: (origin: string, isFull: boolean) => void;
    /** Who asks webhooks, where another process does. */
    readonly elsewhere?: Pick<PendingAllocations, 'start' | 'isFull'>;
    /** Where devices and hubs stand, for `geoLatency`. */
    readonly regions: Regions;
  };
  /** Nothing is limited when absent. */
  readonly quotas?: QuotaNumbers;
  /** What other processes let through of the same rates. */
  readonly sharedRates?: SharedRates;
  /** What devices are told to wait before they poll; `defaultPollAfterSeconds` when absent. */
  readonly pollAfterSeconds?: number;
  /** Called after the commit of each refusal. */
  readonly onRefusal?: () => void;
  /** How long a device is to wait that this deny refuses, after the commit; no word on it where there is none. */
  readonly retryHint?: RetryHint;
}

/** Domain 1: who may register, and where. Call `recover` once before devices are let in. */
export function createProvisioning({
  quotas: numbers = {},
  pollAfterSeconds = defaultPollAfterSeconds,
  ...given
}: ProvisioningDependencies): Provisioning {
  const { storage, ids, log, clock } = given;
  const { sharedRates } = given;
  const shared = sharedRates === undefined ? {} : { shared: sharedRates };
  const quotas = createQuotas({ numbers, clock, leastWaitSeconds: pollAfterSeconds, ...shared });
  const deps = { ...given, quotas };
  const housekeeping = createHousekeeping(deps);
  const decisionLog = createDecisionLog({ log, onDecision: () => housekeeping.onStored(), onRefusal: () => given.onRefusal?.() });
  const trust = createTrustReader();
  const inquire = createInquire({ ...deps, trust });
  const judge = createJudge(inquire, trust);
  const settlement = createSettlement({ ids, decisionLog, quotas, regions: deps.allocation.regions });
  const throttling = createThrottling({ storage, clock, decisionLog, quotas });
  const proven = provenOnly(judge);
  const administering = { ...deps, inquire, trust };
  const pending = createPendingAllocations({ ...deps, ...deps.allocation, judge: proven, settlement });
  const asking = deps.allocation.elsewhere ?? pending;
  return {
    registrations: createRegistrations({ ...deps, pollAfterSeconds, judge: proven, settlement, decisionLog, pending: asking, throttling }),
    allocate: (operation, origin) => pending.start(operation, origin),
    tpmChallenges: createTpmChallenges({ ...deps, judge, decisionLog, throttling }),
    ...createAdministration({ ...administering, cause: systemCause }),
    as: (cause, guard) => createAdministration({ ...administering, cause, ...(guard === undefined ? {} : { guard }) }),
    inquire: (inquiry, stores = storage.read) => inquire(stores, inquiry),
    rehearse: (ground) =>
      createRehearsal({ ...deps, regions: deps.allocation.regions, administer: (over) => administerWithin(administering, over) }, ground),
    authorize: createAuthorize(deps),
    recover: createRecover({ storage, housekeeping, pending, log }),
    close: async () => {
      await Promise.all([housekeeping.close(), pending.close()]);
    },
  };
}

/** What operators do, on behalf of one of them. Keeps nothing, so that each request can have its own. */
function createAdministration({
  storage,
  ...given
}: Pick<ProvisioningDependencies, 'storage' | 'ids'> & ReadmissionDependencies & { readonly quotas: Quotas }): ProvisioningAdministration {
  const deps = { ...given, storage: { read: storage.read, write: writeAs(storage, given.cause) } };
  return {
    individualEnrollments: createIndividualEnrollments(deps),
    enrollmentGroups: createEnrollmentGroups(deps),
    records: createRecords(deps),
    caCertificates: createCaCertificates(deps),
    instances: createInstances(deps),
    policies: createPolicies(deps),
  };
}

/** What operators do, inside a transaction that somebody else has begun and will end. */
function administerWithin(
  deps: Omit<Parameters<typeof createAdministration>[0], 'cause' | 'guard'>,
  transaction: ProvisioningTransaction,
): ProvisioningAdministration {
  const storage: ProvisioningStorage = { read: transaction, write: (work) => work(transaction) };
  return createAdministration({ ...deps, storage, cause: systemCause });
}

function writeAs(storage: ProvisioningStorage, cause: Cause): ProvisioningStorage['write'] {
  return (work) => storage.write(work, cause);
}
