import type { IpFilterRule } from '../../contracts/dps/ip-filter-rule.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { EnrollmentRow, StoredAttestation } from '../ports.ts';
import type { TraceStep } from '../trace.ts';

/** What the peer showed, read but not verified. With `x509` the TLS handshake has proven that it holds the leaf's private key. */
export type Presented =
  | {
      readonly kind: 'x509';
      readonly leaf: Certificate;
      /** What it sent beside the leaf; order, doubles and strangers do no harm. */
      readonly sent: readonly Certificate[];
    }
  | { readonly kind: 'unreadable'; /** A whole sentence. */ readonly detail: string }
  | { readonly kind: 'sas' }
  | { readonly kind: 'none' };

export interface KnownCa {
  readonly name: string;
  readonly certificate: Certificate;
  readonly isVerified: boolean;
}

/** What an operator put there for paths to end at and to be completed with. */
export interface TrustMaterial {
  readonly caCertificates: readonly KnownCa[];
  /** In-line signing certificates of all groups. */
  readonly signingCertificates: readonly Certificate[];
}

/** Everything that a decision depends on. */
export interface AdmissionQuestion {
  readonly remoteAddress: string;
  readonly ipFilterRules: readonly IpFilterRule[];
  readonly presented: Presented;
  readonly registrationId: string;
  readonly at: Instant;
  /** Individual enrollments that hold the leaf, whatever their id, and the one whose id is the registration id. */
  readonly individuals: readonly EnrollmentRow[];
  /** Groups with an issuer that the leaf could have; more do no harm. */
  readonly groups: readonly EnrollmentRow[];
  readonly trust: TrustMaterial;
  /** Azure's rule: only verified CA certificates are anchors, so that an in-line one must lie below (or be) one of them. */
  readonly requireVerifiedCa: boolean;
}

/** What a refused device is told (chapter 3.2 of the wire reference). Why exactly is in the trace. */
export type RefusalMessage =
  | 'Unauthorized'
  | 'Invalid certificate'
  | 'Invalid certificate: its common name is not the registration ID.'
  | 'CA certificate not found';

/** Whether what was presented proves to be the device of an entry. */
export type Judgement =
  | { readonly ok: true; readonly reason: string; readonly sentence: string; readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly reason: string; readonly sentence: string; readonly message: RefusalMessage };

/** Which group decides, if any does. */
export interface GroupJudgement {
  readonly steps: readonly TraceStep[];
  readonly decision:
    | { readonly kind: 'admit'; readonly entry: EnrollmentRow; readonly path: readonly Certificate[] }
    | { readonly kind: 'disabled'; readonly entry: EnrollmentRow }
    | { readonly kind: 'refuse'; readonly message: RefusalMessage; readonly detail: string };
}

/** One way to attest. Adding one: a file beside this, and a line in `attestations.ts`. */
export interface Attestation {
  readonly type: StoredAttestation['type'];
  /** Judges an individual enrollment of this type. */
  judgeIndividual(entry: EnrollmentRow, question: AdmissionQuestion): Judgement;
  /** Whether the peer is who it says it is, by the trust material alone, whatever is enrolled. */
  isTrusted(question: AdmissionQuestion): boolean;
  /** Whether an identity that this type can vouch for was presented, so that `judgeGroups` may be asked. */
  canJudgeGroups(question: AdmissionQuestion): boolean;
  /** Judges the groups, in the order in which they decide. */
  judgeGroups(question: AdmissionQuestion): GroupJudgement;
}
