import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { createAuthorize } from './authorize.ts';
import { createCaCertificates } from './ca-certificates.ts';
import { createDecisionLog } from './decision-log.ts';
import { createEnrollmentGroups, createIndividualEnrollments } from './enrollments.ts';
import { createHousekeeping } from './housekeeping.ts';
import { createInstances } from './instances.ts';
import { createJudge } from './judge.ts';
import type { ProvisioningStorage } from './ports.ts';
import { createRecords } from './records.ts';
import { createRecover } from './recover.ts';
import { createRegistrations } from './registrations.ts';
import type { Provisioning } from './service.ts';
import { createSettlement } from './settle.ts';
import { createTrustReader } from './trust-material.ts';

export interface ProvisioningDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Azure's rule: in-line signing certificates count only below (or as) a verified CA certificate. */
  readonly requireVerifiedCa: boolean;
}

/** Domain 1: who may register, and where. Call `recover` once before devices are let in. */
export function createProvisioning(deps: ProvisioningDependencies): Provisioning {
  const { storage, ids, log } = deps;
  const housekeeping = createHousekeeping(deps);
  const decisionLog = createDecisionLog({ log, onDecision: () => housekeeping.onDecision() });
  const judge = createJudge({ ...deps, trust: createTrustReader() });
  const settlement = createSettlement({ ids, decisionLog });
  return {
    registrations: createRegistrations({ ...deps, judge, settlement, decisionLog }),
    individualEnrollments: createIndividualEnrollments(deps),
    enrollmentGroups: createEnrollmentGroups(deps),
    records: createRecords(deps),
    caCertificates: createCaCertificates(deps),
    instances: createInstances(deps),
    authorize: createAuthorize(deps),
    recover: createRecover({ storage, housekeeping, log }),
    close: () => housekeeping.close(),
  };
}
