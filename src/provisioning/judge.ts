import type { Clock } from '../kernel/clock.ts';
import { decideAdmission } from './admission.ts';
import type { Attempt, Outcome } from './attempt.ts';
import { findCandidates } from './candidates.ts';
import type { ProvisioningTransaction } from './ports.ts';
import type { TrustReader } from './trust-material.ts';

export interface JudgeDependencies {
  readonly trust: TrustReader;
  readonly clock: Clock;
  readonly requireVerifiedCa: boolean;
}

export type Judge = (
  stores: Pick<ProvisioningTransaction, 'enrollments' | 'registrations' | 'caCertificates'>,
  attempt: Attempt,
) => Promise<Outcome>;

/** Joins lookup and admission: asks the stores for whatever could match, and lets `decideAdmission` decide. */
export function createJudge({ trust, clock, requireVerifiedCa }: JudgeDependencies): Judge {
  return async (stores, { instance, request: { registrationId, credentials, peer }, presentedAt, likelyGroup }) => {
    const presented = trust.presented(credentials);
    const material = await trust.material(stores, instance.name);
    const query = {
      instance: instance.name,
      registrationId,
      presented,
      trust: material,
      ...(likelyGroup === undefined ? {} : { likelyGroup }),
    };
    const { individuals, groups } = await findCandidates(stores, query);
    const at = clock.now();
    const { idScope, ipFilterRules } = instance;
    const asked = { presented, idScope, registrationId, at: presentedAt ?? at, remoteAddress: peer.remoteAddress, ipFilterRules };
    const verdict = decideAdmission({ ...asked, individuals, groups, trust: material, requireVerifiedCa });
    return { verdict, at, ...(presented.kind === 'x509' ? { leafSha256: presented.leaf.sha256 } : {}) };
  };
}
