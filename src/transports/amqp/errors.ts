import { renderTimestamp } from '../../contracts/timestamp.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { asServiceError, ServiceError } from '../../kernel/service-error.ts';
import type { AmqpError } from './engine/amqp-error.ts';
import { amqpInt } from './engine/values.ts';

/** What was thrown, in the words of AMQP. Whatever is no `ServiceError` is logged here, once, under its tracking id. */
export interface AmqpErrors {
  /** For a rejected delivery, a detach or a close. */
  render(thrown: unknown): AmqpError;
  /** For an answer that carries a status and a JSON body: twin operations (hub chapter 4.7). */
  renderAnswer(thrown: unknown): { readonly status: number; readonly body: string };
  /** For the answer to a put-token (hub chapter 4.3). */
  renderTokenStatus(thrown: unknown): { readonly status: number; readonly description: string };
}

export function createAmqpErrors(deps: { readonly clock: Clock; readonly ids: Ids; readonly log: Logger }): AmqpErrors {
  const prepare = (thrown: unknown): { readonly error: ServiceError; readonly trackingId: string; readonly description: string } => {
    const error = asServiceError(thrown);
    const trackingId = error.trackingId ?? deps.ids.trackingId();
    if (!(thrown instanceof ServiceError)) deps.log.error('amqp.failure', { trackingId, error: thrown });
    return { error, trackingId, description: renderDescription(error, trackingId, deps.clock) };
  };
  return {
    render(thrown) {
      const { error, trackingId, description } = prepare(thrown);
      return { condition: error.row.amqp, description, info: renderInfo(error, trackingId) };
    },
    renderAnswer(thrown) {
      const { error, description } = prepare(thrown);
      return { status: error.row.http, body: description };
    },
    renderTokenStatus(thrown) {
      const { error, description } = prepare(thrown);
      // C# takes 403 for a throttle and repeats the request for ever: who may not connect is unauthorised here.
      const status = error.row.http === 403 ? 401 : error.row.http;
      return { status, description: status >= 500 ? description : error.message };
    },
  };
}

/** The whole JSON body: C# reads the status out of `errorCode` (DPS chapter 1.6.5, hub chapter 2.4). */
function renderDescription({ row, message }: ServiceError, trackingId: string, clock: Clock): string {
  return JSON.stringify({ errorCode: row.code, trackingId, message, timestampUtc: renderTimestamp(clock.now()) });
}

/** Clients read either spelling of the delay (DPS chapter 1.6.5); the hub's keys are in hub chapter 4.9. */
function renderInfo({ row, retryAfterSeconds }: ServiceError, trackingId: string): NonNullable<AmqpError['info']> {
  const delay =
    retryAfterSeconds === undefined ? {} : { 'retry-after': amqpInt(retryAfterSeconds), 'Retry-After': amqpInt(retryAfterSeconds) };
  return { 'com.microsoft:tracking-id': trackingId, 'com.microsoft:error-code': amqpInt(row.code), ...delay };
}
