/** What can have come apart. */
export const driftKinds = [
  'record-without-enrollment',
  'record-without-device',
  'device-without-record',
  'dead-link',
  'deny-not-needed',
  'thumbprint-differs',
] as const;
export type DriftKind = (typeof driftKinds)[number];

export const driftSubjects = ['record', 'device', 'linked-hub', 'enrollment', 'enrollment-group', 'block'] as const;

/** What it is about. `scope` is the provisioning service or the hub that it belongs to; a block has none. */
export interface DriftSubject {
  readonly type: (typeof driftSubjects)[number];
  readonly id: string;
  readonly scope?: string;
}

/** One thing that came apart. */
export interface Drift {
  readonly kind: DriftKind;
  readonly subject: DriftSubject;
  /** What is wrong. */
  readonly sentence: string;
  /** Whether a fix mends it by itself. */
  readonly mendable: boolean;
  /** What a fix does; where it is not mendable, what a person can do. */
  readonly remedy: string;
}

/** What a fix did about one. */
export interface Mended extends Drift {
  /** `gone`: it was in order again when it was looked at within the transaction. */
  readonly outcome: 'mended' | 'would-mend' | 'left' | 'gone';
}
