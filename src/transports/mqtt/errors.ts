import { renderTimestamp } from '../../contracts/timestamp.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { asServiceError, ServiceError } from '../../kernel/service-error.ts';

/** What rendering an error takes. */
export interface ErrorDeps {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** An error as both services put it into a response PUBLISH. */
export interface RenderedError {
  /** For the response topic. */
  readonly status: number;
  /** Only for statuses that a client should repeat (429 and 5xx). */
  readonly retryAfterSeconds?: number;
  readonly payload: Buffer;
}

/** Within the 2 to 5 s that every SDK respects (chapter 7 of the provisioning reference). */
const defaultRetryAfterSeconds = 3;

/** The CONNACK code for whatever a binding threw. */
export const refusalCode = (thrown: unknown): number => asServiceError(thrown).row.connack;

/** Renders whatever a domain threw; a bug is logged here, once, under the tracking id that the device sees. */
export function renderError(thrown: unknown, { clock, ids, log }: ErrorDeps): RenderedError {
  const error = asServiceError(thrown);
  const trackingId = error.trackingId ?? ids.trackingId();
  if (!(thrown instanceof ServiceError)) log.error('mqtt.failure', { trackingId, error: thrown });
  const { http: status, code } = error.row;
  const body = { errorCode: code, trackingId, message: error.message, timestampUtc: renderTimestamp(clock.now()) };
  return {
    status,
    ...((status === 429 || status >= 500) && { retryAfterSeconds: error.retryAfterSeconds ?? defaultRetryAfterSeconds }),
    payload: Buffer.from(JSON.stringify(body)),
  };
}
