import type { Clock } from '../kernel/clock.ts';
import { decideAdmission, type Verdict } from './admission.ts';
import type { Attempt, Challenged, Outcome } from './attempt.ts';
import type { TpmKeyCandidate } from './attestation/attestation.ts';
import { type CandidateQuery, type Candidates, findCandidates } from './candidates.ts';
import type { ProvisioningTransaction, TpmStore } from './ports.ts';
import { findTpmKeys } from './tpm-keys.ts';
import type { TrustReader } from './trust-material.ts';

export interface JudgeDependencies {
  readonly trust: TrustReader;
  readonly clock: Clock;
  readonly requireVerifiedCa: boolean;
}

export type Judge = (
  stores: Pick<ProvisioningTransaction, 'enrollments' | 'registrations' | 'caCertificates' | 'tpm'>,
  attempt: Attempt,
) => Promise<Outcome>;

/** As `Judge`, for requests that need a proof: the public keys of a TPM alone are refused. */
export type ProvenJudge = (...asked: Parameters<Judge>) => Promise<Outcome<Exclude<Verdict, Challenged>>>;

export function provenOnly(judge: Judge): ProvenJudge {
  return async (...asked) => {
    const { verdict, ...outcome } = await judge(...asked);
    if (verdict.kind !== 'challenge') return { ...outcome, verdict };
    const detail = 'The public keys of a TPM alone let nobody in. Ask for a key over HTTPS or AMQP, and sign with it.';
    return { ...outcome, verdict: { kind: 'refuse', error: 'DpsUnauthorized', message: 'Unauthorized', detail, trace: verdict.trace } };
  };
}

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
    const tpmKeys = await tpmKeysFor(stores.tpm, { ...query, individuals });
    const at = clock.now();
    const { idScope, ipFilterRules } = instance;
    const asked = { presented, tpmKeys, idScope, registrationId, at: presentedAt ?? at, remoteAddress: peer.remoteAddress, ipFilterRules };
    const verdict = decideAdmission({ ...asked, individuals, groups, trust: material, requireVerifiedCa });
    return { verdict, at, ...(presented.kind === 'x509' ? { leafSha256: presented.leaf.sha256 } : {}) };
  };
}

/** Only an enrollment with a TPM needs them, and only to judge a token. */
async function tpmKeysFor(
  store: TpmStore,
  { instance, registrationId, presented, individuals }: CandidateQuery & Pick<Candidates, 'individuals'>,
): Promise<readonly TpmKeyCandidate[]> {
  const entry = individuals.find(({ attestation }) => attestation.type === 'tpm');
  if (presented.kind !== 'sas' || entry === undefined) return [];
  return await findTpmKeys(store, { instance, registrationId, entry, presented: presented.tpm });
}
