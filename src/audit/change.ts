import type { JsonObject } from '../kernel/json.ts';

/** What was changed. `scope` is the provisioning service or the hub that it belongs to. */
export interface AuditResource {
  readonly kind: string;
  readonly id: string;
  readonly scope?: string;
}

/** One change, as it is recorded. Secrets are masked before they get here. */
export interface Change {
  /** `<kind>.<verb>`. */
  readonly action: string;
  readonly resource: AuditResource;
  /** Absent when it did not exist. Of an update, what is different. */
  readonly before?: JsonObject;
  /** Absent when it exists no more. */
  readonly after?: JsonObject;
}

/** For changes that no row shows by itself; recorded in the transaction at hand. */
export interface ChangeRecorder {
  record(change: Change): void;
}
