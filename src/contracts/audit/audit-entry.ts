import type { JsonObject } from '../../kernel/json.ts';

/**
 * One entry of the audit trail, as it is hashed, shown and exported. `hash` is the lower-case hex SHA-256 of the entry without
 * its `hash`, in canonical form (RFC 8785), so that an export can be checked by anybody.
 */
export interface AuditEntry {
  /** From 1, without gaps. */
  readonly sequence: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  readonly actor: {
    readonly kind: string;
    readonly name: string;
    readonly origin?: { readonly transport: string; readonly address: string; readonly userAgent?: string };
  };
  readonly action: string;
  readonly resource: { readonly kind: string; readonly id: string; readonly scope?: string };
  readonly before?: JsonObject;
  readonly after?: JsonObject;
  readonly reason?: string;
  readonly ticket?: string;
  /** Of the entry before; 64 zeros in the first one. */
  readonly previousHash: string;
  readonly hash: string;
}

/** The end of the trail. Kept elsewhere, it proves later that nothing up to here was taken away or changed. */
export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
}

/** What checking the trail came to. */
export type AuditVerdict =
  | {
      readonly ok: true;
      /** How many entries were checked. */
      readonly checked: number;
      readonly head: AuditHead;
      /** The last entry that retention removed; the chain begins after it. */
      readonly prunedThrough?: AuditHead;
      /** Whether the head carries a seal of this installation that was right. */
      readonly sealed: boolean;
    }
  | {
      readonly ok: false;
      readonly checked: number;
      /** The first entry that is not as it was written, or that is missing. */
      readonly sequence: number;
      readonly reason: AuditFlaw;
      readonly sentence: string;
    };

export const auditFlaws = ['changed', 'missing', 'unlinked', 'truncated', 'head', 'seal', 'checkpoint', 'exported-head'] as const;
export type AuditFlaw = (typeof auditFlaws)[number];
