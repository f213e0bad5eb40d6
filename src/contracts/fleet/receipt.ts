import type { TransportName } from '../transport.ts';

/** What was found about a device before anything was done. */
export interface Findings {
  readonly registrationIds: readonly string[];
  readonly deviceIds: readonly string[];
  readonly certificate?: CertificateSummary;
  readonly enrollments: readonly EnrollmentSummary[];
  readonly records: readonly RecordSummary[];
  readonly identities: readonly IdentitySummary[];
}

export interface CertificateSummary {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  readonly sha256: string;
  readonly publicKeySha256: string;
  readonly notAfter: string;
  /** Where it was found. */
  readonly source: 'given' | 'last registration' | 'individual enrollment';
}

export interface EnrollmentSummary {
  readonly instance: string;
  readonly kind: 'individual' | 'group';
  readonly id: string;
  readonly provisioningStatus: 'enabled' | 'disabled';
}

export interface RecordSummary {
  readonly instance: string;
  readonly registrationId: string;
  readonly status: string;
  readonly assignedHub?: string;
  readonly deviceId?: string;
}

export interface IdentitySummary {
  readonly hub: string;
  readonly hostName: string;
  readonly deviceId: string;
  readonly status: string;
  readonly connected: boolean;
}

/** One thing that was done, in order. */
export interface Step {
  readonly what:
    | 'block-written'
    | 'key-shared'
    | 'block-lifted'
    | 'block-opened-once'
    | 'identity-removed'
    | 'identity-disabled'
    | 'identity-restored'
    | 'identity-enabled'
    | 'twin-erased'
    | 'telemetry-erased'
    | 'record-closed'
    | 'record-restored'
    | 'left-alone';
  readonly sentence: string;
}

/** Time from the commit to the last socket closed. */
export interface TimeToRevoke {
  /** When the commit was durable, ISO 8601. */
  readonly committedAt?: string;
  readonly sessions: number;
  readonly milliseconds: number;
  readonly perTransport: readonly { readonly transport: TransportName; readonly sessions: number; readonly milliseconds: number }[];
}

/** What one door says to one credential. */
export interface Door {
  readonly side: 'provisioning' | 'hub';
  /** Name of the provisioning service or hub. */
  readonly name: string;
  readonly transport: TransportName;
  readonly credential: string;
  /** `refused` or `let-in`; `unknown` where no credential is at hand to decide about. */
  readonly verdict: 'refused' | 'let-in' | 'unknown';
  /** What the wire says, in the words of its protocol. */
  readonly says: string;
  readonly why: string;
  /** `decision`: by the very code that decides at the door; `wire`: by trying it with the device's key. */
  readonly evaluated: 'decision' | 'wire';
}

export interface Undo {
  readonly possible: boolean;
  readonly sentence: string;
  readonly command?: string;
}

/** What a deprovisioning or a reinstatement found and did. */
export interface Receipt {
  /** Absent in a dry run. */
  readonly id?: string;
  readonly kind: 'revoke' | 'retire' | 'reinstate';
  readonly dryRun?: boolean;
  /** Everything was done before; this is the receipt of that time. */
  readonly alreadyDone?: boolean;
  readonly device: string;
  readonly asked: string;
  readonly at: string;
  readonly by: string;
  readonly reason?: string;
  readonly ticket?: string;
  readonly found: Findings;
  readonly steps: readonly Step[];
  readonly block?: BlockSummary;
  readonly timeToRevoke?: TimeToRevoke;
  readonly proof?: readonly Door[];
  readonly undo: Undo;
  readonly undoneBy?: string;
}

export interface BlockSummary {
  readonly id: string;
  readonly selectors: readonly { readonly kind: string; readonly value: string }[];
  readonly reason: string;
  readonly ticket?: string;
  readonly expiresAt?: string;
}
