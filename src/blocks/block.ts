import type { Instant } from '../kernel/clock.ts';

/**
 * What a block can name about a device. A certificate that is issued again changes some of these and keeps others, so the
 * kind says which re-issued certificates the block still covers.
 */
export const selectorKinds = ['leaf', 'publicKey', 'issuerSerial', 'subject', 'registrationId', 'deviceId'] as const;
export type SelectorKind = (typeof selectorKinds)[number];

/** One thing that a block names. */
export interface Selector {
  readonly kind: SelectorKind;
  /** For people: a thumbprint, `0A1B of CN=Issuer`, a subject, an id. */
  readonly value: string;
  /** What is compared, see `keys.ts`. */
  readonly key: SelectorKey;
}

/** Kind and canonical value as one text. Stored, so the way it is made must never change. */
export type SelectorKey = `${SelectorKind | 'thumbprint'}:${string}`;

/**
 * An operator's deny, over every provisioning service and hub. It covers whoever presents, or claims, any one of its
 * selectors, until it expires or is lifted.
 */
export interface Block {
  readonly id: string;
  /** At least one. */
  readonly selectors: readonly Selector[];
  readonly reason: string;
  readonly ticket?: string;
  readonly createdBy: string;
  readonly createdAt: Instant;
  /** From this moment on it covers nobody. */
  readonly expiresAt?: Instant;
  /** The receipt of the deprovisioning that wrote it. */
  readonly receiptId?: string;
  readonly readmission?: Readmission;
  /** When the audit trail was told that it had expired. */
  readonly endNotedAt?: Instant;
}

/** Lets exactly one registration through; what it led to may then connect, and the next registration is refused again. */
export interface Readmission {
  /** Unused, it ends at this moment. */
  readonly until: Instant;
  readonly usedAt?: Instant;
}
