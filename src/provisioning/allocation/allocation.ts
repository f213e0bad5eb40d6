import type { AllocationPolicy, InitialTwin } from '../../contracts/dps/enrollment.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { EnrollmentRow, LinkedHubRow } from '../ports.ts';
import type { WebhookConversation, WebhookExchange } from './webhook.ts';
import type { Regions } from './regions.ts';

export interface AllocationQuestion {
  readonly registrationId: string;
  /** Hubs that the enrollment and the links allow, in no particular order. */
  readonly candidates: readonly LinkedHubRow[];
  readonly entry: EnrollmentRow;
  /** Where the device called from; absent when nobody called and what would be is asked about. */
  readonly remoteAddress: string | undefined;
  readonly regions: Regions;
  /** What the webhook was asked and said, once it was. */
  readonly conversation?: WebhookConversation;
}

/** Which hub, or how the registration fails; `note` is a sentence for the trace. */
export type Allocation = (
  | {
      readonly ok: true;
      readonly hubHostName: string;
      /** For a twin that has to be made, instead of the enrollment's. */
      readonly initialTwin?: InitialTwin;
      /** For the device. */
      readonly payload?: JsonObject;
      /** Another hub may be chosen once it is known where the device calls from. */
      readonly dependsOnAddress?: true;
    }
  | { readonly ok: false; readonly errorCode: AllocationErrorCode; readonly errorMessage: string }
) & { readonly note: string; readonly exchange?: WebhookExchange };

/** Cannot be known within a transaction: a webhook has to be asked first. */
export interface AllocationCall {
  readonly ask: { readonly webhookUrl: string; readonly apiVersion: string };
  /** Host names that it may choose from. */
  readonly hubs: readonly string[];
}

/** Codes of a registration that ends `failed` (chapter 3.2): the webhook, no hub to choose, or a hub that refuses. */
export type AllocationErrorCode = 400207 | 400208 | 400209;

/** One way to choose. Adding one: a file beside this, and a line in `allocations.ts`. */
export interface AllocationMethod {
  readonly policy: AllocationPolicy;
  allocate(question: AllocationQuestion): Allocation | AllocationCall;
}
