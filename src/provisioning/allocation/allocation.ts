import type { AllocationPolicy } from '../../contracts/dps/enrollment.ts';
import type { LinkedHubRow } from '../ports.ts';

export interface AllocationQuestion {
  readonly registrationId: string;
  /** Hubs that the enrollment and the links allow, in no particular order. */
  readonly candidates: readonly LinkedHubRow[];
}

/** Which hub, or how the registration fails; `note` is a sentence for the trace. */
export type Allocation =
  | { readonly ok: true; readonly hubHostName: string; readonly note: string }
  | { readonly ok: false; readonly errorCode: AllocationErrorCode; readonly errorMessage: string; readonly note: string };

/** Codes of a registration that ends `failed` (chapter 3.2): the webhook, no hub to choose, or a hub that refuses. */
export type AllocationErrorCode = 400207 | 400208 | 400209;

/** One way to choose. Adding one: a file beside this, and a line in `allocations.ts`. */
export interface AllocationMethod {
  readonly policy: AllocationPolicy;
  allocate(question: AllocationQuestion): Allocation;
}
