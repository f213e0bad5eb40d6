import { limits } from '../contracts/limits.ts';
import type { Clock, Milliseconds } from '../kernel/clock.ts';
import type { AllocationWebhooks } from '../provisioning/ports.ts';
import { createJsonPoster } from './post-json.ts';

/** Webhooks of the allocation policy `custom`, over HTTP and HTTPS. */
export function createAllocationWebhooks({
  clock,
  patience,
}: {
  readonly clock: Clock;
  readonly patience: Milliseconds;
}): AllocationWebhooks {
  const post = createJsonPoster({ clock, patience, answerBytes: limits.allocationAnswerBytes });
  return {
    call: ({ url, body, trackingId, signal }) => post({ url, body, headers: { 'x-ms-request-id': trackingId }, signal }),
  };
}
