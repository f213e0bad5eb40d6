import type { DeviceRow } from '../hub/ports.ts';
import type { IdentitySnapshot } from '../hub/revocation.ts';
import type { RegistrationRow } from '../provisioning/ports.ts';

/** What a reinstatement puts back. Keys of devices are in it, so it never leaves the store. */
export interface UndoData {
  readonly blockId?: string;
  /** As they were, with the etag that closing gave them. */
  readonly records: readonly { readonly before: RegistrationRow; readonly closedEtag: string }[];
  readonly removed: readonly IdentitySnapshot[];
  /** Identities as they were before they were disabled. */
  readonly disabled: readonly DeviceRow[];
}
