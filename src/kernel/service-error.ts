import type { JsonObject } from './json.ts';
import { errorTable, type ErrorName, type ErrorRow } from './error-table.ts';

/** What an error may carry besides its name and sentence. */
export interface ServiceErrorDetails {
  /** For the log and for `explain`; never sent to a device. */
  readonly detail?: string;
  /** Seconds that a client should wait before it repeats the request. */
  readonly retryAfterSeconds?: number;
  /** Tracking id under which the reasons are kept, when the thrower already has one. */
  readonly trackingId?: string;
  /** What the caller needs to know beside the sentence; sent as `info` where a wire has room for it. */
  readonly info?: JsonObject;
}

/**
 * An expected refusal. Domains and stores throw it by name; each transport reads its own column of the error
 * table. Anything else that is thrown is a bug and is answered with a fixed sentence.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly error: ErrorName;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly trackingId: string | undefined;
  readonly info: JsonObject | undefined;

  constructor(error: ErrorName, message: string, details: ServiceErrorDetails = {}) {
    super(message);
    this.error = error;
    this.detail = details.detail;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.trackingId = details.trackingId;
    this.info = details.info;
  }

  get row(): ErrorRow {
    return errorTable[this.error];
  }
}

/** The sentence for whatever is not a `ServiceError`; the log has the rest under the tracking id. */
export const unexpectedErrorMessage = 'The service failed to answer this request. Quote the tracking id when you report it.';

/** Turns whatever was thrown into a `ServiceError`, without leaking a bug's own message to a peer. */
export function asServiceError(thrown: unknown): ServiceError {
  if (thrown instanceof ServiceError) return thrown;
  return new ServiceError('ServerError', unexpectedErrorMessage);
}
