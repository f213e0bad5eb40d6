import { keysOf } from '../blocks/keys.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import { decideAdmission, type Verdict } from './admission.ts';
import type { Attempt, Challenged, Outcome } from './attempt.ts';
import type { AdmissionQuestion, Presented, TpmKeyCandidate } from './attestation/attestation.ts';
import { type CandidateQuery, type Candidates, findCandidates } from './candidates.ts';
import type { ProvisioningInstance, ProvisioningTransaction, TpmStore } from './ports.ts';
import { findTpmKeys } from './tpm-keys.ts';
import type { TrustReader } from './trust-material.ts';

export interface JudgeDependencies {
  readonly trust: TrustReader;
  readonly clock: Clock;
  readonly requireVerifiedCa: boolean;
}

export type JudgeStores = Pick<ProvisioningTransaction, 'enrollments' | 'registrations' | 'caCertificates' | 'tpm' | 'blocks'>;

/** What admission is to be asked about. */
export interface Inquiry {
  readonly instance: ProvisioningInstance;
  readonly registrationId: string;
  readonly presented: Presented;
  readonly purpose: AdmissionQuestion['purpose'];
  /** Absent: now. */
  readonly asOf?: Instant;
  /** Where it comes from; absent, the IP filter is left out of it. */
  readonly remoteAddress?: string;
  /** A group to be tried first. */
  readonly likelyGroup?: string;
}

/** What admission answered, and to what. */
export type Inquired = Outcome & { readonly question: AdmissionQuestion };

/** Decides an attempt by what its peer presented. */
export type Judge = (stores: JudgeStores, attempt: Attempt) => Promise<Outcome>;

/** As `Judge`, for requests that need a proof: the public keys of a TPM alone are refused. */
export type ProvenJudge = (...asked: Parameters<Judge>) => Promise<Outcome<Exclude<Verdict, Challenged>>>;

/** The same decision about anything that could be presented, with the question that it answers. */
export type Inquire = (stores: JudgeStores, inquiry: Inquiry) => Promise<Inquired>;

export function provenOnly(judge: Judge): ProvenJudge {
  return async (...asked) => {
    const { verdict, ...outcome } = await judge(...asked);
    if (verdict.kind !== 'challenge') return { ...outcome, verdict };
    const detail = 'The public keys of a TPM alone let nobody in. Ask for a key over HTTPS or AMQP, and sign with it.';
    return { ...outcome, verdict: { kind: 'refuse', error: 'DpsUnauthorized', message: 'Unauthorized', detail, trace: verdict.trace } };
  };
}

/** Joins lookup and admission: asks the stores for whatever could match, and lets `decideAdmission` decide. */
export function createInquire({ trust, clock, requireVerifiedCa }: JudgeDependencies): Inquire {
  return async (stores, { instance, registrationId, presented, purpose, asOf, remoteAddress, likelyGroup }) => {
    const material = await trust.material(stores, instance.name);
    const hint = likelyGroup === undefined ? {} : { likelyGroup };
    const query = { instance: instance.name, registrationId, presented, trust: material, ...hint };
    const entries = { ...(await findCandidates(stores, query)), trust: material };
    const tpmKeys = await tpmKeysFor(stores.tpm, { ...query, ...entries });
    const keys = keysOf({ registrationId, ...(presented.kind === 'x509' ? { certificate: presented.leaf } : {}) });
    const blocks = await stores.blocks.matching(keys);
    const now = clock.now();
    const from = { remoteAddress: remoteAddress ?? '', ipFilterRules: remoteAddress === undefined ? [] : instance.ipFilterRules };
    const asked = { presented, tpmKeys, idScope: instance.idScope, registrationId, at: asOf ?? now, purpose };
    const question = { ...asked, blocks, ...from, ...entries, requireVerifiedCa };
    const verdict = decideAdmission(question);
    return { verdict, at: now, question, ...leafOf(presented) };
  };
}

function leafOf(presented: Presented): Pick<Outcome, 'leafSha256' | 'sent'> {
  return presented.kind === 'x509' ? { leafSha256: presented.leaf.sha256, sent: presented.sent } : {};
}

export function createJudge(inquire: Inquire, trust: TrustReader): Judge {
  return async (stores, { instance, action, request: { registrationId, credentials, peer }, presentedAt }) => {
    const presented = trust.presented(credentials);
    const purpose = action === 'register' ? 'register' : 'ask';
    const asOf = presentedAt === undefined ? {} : { asOf: presentedAt };
    return await inquire(stores, { instance, registrationId, presented, purpose, remoteAddress: peer.remoteAddress, ...asOf });
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
