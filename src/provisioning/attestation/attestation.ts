import type { SasToken } from '../../access/sas-token.ts';
import type { Block } from '../../blocks/block.ts';
import type { BlockedPurpose } from '../../blocks/rule.ts';
import type { IpFilterRule } from '../../contracts/dps/ip-filter-rule.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { TpmDeviceKeys } from '../../tpm/device-keys.ts';
import type { StorageKey } from '../../tpm/public-area.ts';
import type { TpmIdentity } from '../../tpm/seal-key.ts';
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
  | { readonly kind: 'unreadable'; readonly what: 'certificate' | 'token' | 'tpm'; /** A whole sentence. */ readonly detail: string }
  | { readonly kind: 'sas'; readonly token: SasToken; /** What some devices with a TPM repeat beside it. */ readonly tpm?: PresentedTpm }
  | { readonly kind: 'tpm'; readonly tpm: PresentedTpm }
  | { readonly kind: 'none' };

/** Public keys of a TPM, which anybody may know. */
export interface PresentedTpm {
  readonly endorsementKey: StorageKey;
  readonly storageRootKey?: StorageKey;
}

/** A storage root key that may be the device's, and the keys that were sealed for it. */
export interface TpmKeyCandidate {
  readonly storageRootKey: StorageKey;
  readonly keys: TpmDeviceKeys;
}

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
  /** Groups with a symmetric key, by id. They are the same objects until something about groups or anchors changes. */
  readonly symmetricKeyGroups: readonly EnrollmentRow[];
}

/** Everything that a decision depends on. */
export interface AdmissionQuestion {
  readonly remoteAddress: string;
  readonly ipFilterRules: readonly IpFilterRule[];
  readonly presented: Presented;
  /** Of the instance that was asked. */
  readonly idScope: string;
  /** As the device spelled it. */
  readonly registrationId: string;
  readonly at: Instant;
  /** A readmission lets one registration through, and what asks about it. */
  readonly purpose: Exclude<BlockedPurpose, 'connect'>;
  /** Blocks that name what was presented, or the registration id; more do no harm. */
  readonly blocks: readonly Block[];
  /** Individual enrollments that hold the leaf, whatever their id, and the one whose id is the registration id. */
  readonly individuals: readonly EnrollmentRow[];
  /**
   * Groups that could match, more do no harm: for a certificate those with an issuer that it could have, for a token those
   * with a key, likeliest first, because each that is tried costs a few hashes.
   */
  readonly groups: readonly EnrollmentRow[];
  readonly trust: TrustMaterial;
  /** Keys that the TPM of the individual enrollment with the registration id may have been given. */
  readonly tpmKeys: readonly TpmKeyCandidate[];
  /** Azure's rule: only verified CA certificates are anchors, so that an in-line one must lie below (or be) one of them. */
  readonly requireVerifiedCa: boolean;
}

/** What a refused device is told (chapter 3.2 of the wire reference). Why exactly is in the trace. */
export type RefusalMessage =
  | 'Unauthorized'
  | 'Enrollment not found.'
  | 'Invalid certificate'
  | 'Invalid certificate: its common name is not the registration ID.'
  | 'CA certificate not found';

/** What a device has proven with, which is what its hub will know it by. */
export type Proof =
  | { readonly type: 'x509'; /** Leaf first; the leaf alone when its thumbprint decided. */ readonly path: readonly Certificate[] }
  | { readonly type: 'symmetricKey'; /** The device's own, base64. */ readonly primaryKey: string; readonly secondaryKey: string }
  | { readonly type: 'tpm'; readonly identity: TpmIdentity; readonly keys: TpmDeviceKeys };

/** Whether what was presented proves to be the device of an entry. */
export type Judgement =
  | { readonly ok: true; readonly reason: string; readonly sentence: string; readonly proof: Proof }
  | { readonly ok: false; readonly reason: string; readonly sentence: string; readonly message: RefusalMessage }
  | {
      readonly ok: 'challenge';
      readonly reason: string;
      readonly sentence: string;
      /** Who has to answer it. */ readonly identity: TpmIdentity;
    };

/** Which group decides, if any does. */
export interface GroupJudgement {
  readonly steps: readonly TraceStep[];
  readonly decision:
    | { readonly kind: 'admit'; readonly entry: EnrollmentRow; readonly proof: Proof }
    | { readonly kind: 'disabled'; readonly entry: EnrollmentRow }
    | { readonly kind: 'refuse'; readonly message: RefusalMessage; readonly detail: string };
}

/** One way to attest. Adding one: a file beside this, and a line in `attestations.ts`. */
export interface Attestation {
  readonly type: StoredAttestation['type'];
  /** Judges an individual enrollment of this type. */
  judgeIndividual(entry: EnrollmentRow, question: AdmissionQuestion): Judgement;
  /** Whether the peer is who it says it is, by the trust material and the groups alone, whatever is enrolled individually. */
  isTrusted(question: AdmissionQuestion): boolean;
  /** Whether an identity that this type can vouch for was presented, so that `judgeGroups` may be asked. */
  canJudgeGroups(question: AdmissionQuestion): boolean;
  /** Judges the groups, in the order in which they decide. */
  judgeGroups(question: AdmissionQuestion): GroupJudgement;
}
