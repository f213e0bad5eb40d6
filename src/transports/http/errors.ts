import { renderTimestamp } from '../../contracts/timestamp.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { ErrorName } from '../../kernel/error-table.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { ErrorContext, HttpAnswer } from './engine/route.ts';

/** The engine speaks in generic names; on the provisioning side they are these rows. */
const provisioningNames: Partial<Record<ErrorName, ErrorName>> = {
  GenericBadRequest: 'DpsBadRequest',
  ArgumentInvalid: 'DpsBadRequest',
  PreconditionFailed: 'DpsPreconditionFailed',
  UnsupportedMediaType: 'DpsUnsupportedMediaType',
};

/**
 * Where the hub's own name of a code differs from ours (iot-hub.md 6.3). The C# client compares body and header with
 * its list of names, and reports `InvalidErrorCode` for any other.
 */
const hubNames: Partial<Record<ErrorName, string>> = {
  RouteNotFound: 'GenericNotFound',
  ResourceNotFound: 'GenericNotFound',
  MethodNotAllowed: 'GenericMethodNotAllowed',
  ResourceExists: 'GenericConflict',
  UnsupportedMediaType: 'GenericUnsupportedMediaType',
  Throttled: 'ThrottlingException',
  TooManySessions: 'GenericTooManyRequests',
  ShuttingDown: 'ServiceUnavailable',
};

/** Provisioning, device and service API: `ProvisioningServiceErrorDetails` (dps.md 1.2.2). */
export function renderDpsError(error: ServiceError, context: ErrorContext): HttpAnswer {
  const { row } = new ServiceError(provisioningNames[error.error] ?? error.error, error.message);
  return {
    status: row.http,
    headers: { ...retryAfter(error), 'x-ms-error-code': String(row.code) },
    body: {
      errorCode: row.code,
      trackingId: context.trackingId,
      message: error.message,
      timestampUtc: renderTimestamp(context.now),
    },
  };
}

/**
 * Hub, device and service API: the plain form, or the one that carries JSON in its message for errors that have more to
 * say; the name also in the header (iot-hub.md 6.2).
 */
export function renderHubError(error: ServiceError, context: ErrorContext): HttpAnswer {
  const name = hubNameOf(error.error);
  return {
    status: error.row.http,
    headers: { ...retryAfter(error), 'iothub-errorcode': name },
    body: error.info === undefined ? plainBody(name, error, context) : detailedBody(error, error.info, context),
  };
}

function plainBody(name: string, error: ServiceError, { trackingId, now }: ErrorContext): object {
  return { Message: `ErrorCode:${name};${error.message}`, ExceptionMessage: `Tracking ID:${trackingId}-TimeStamp:${usTimestamp(now)}` };
}

function detailedBody({ row, message }: ServiceError, info: JsonObject, { trackingId, now }: ErrorContext): object {
  const id = `${trackingId}-TimeStamp:${usTimestamp(now)}`;
  const details = { errorCode: row.code, trackingId: id, message, info, timestampUtc: renderTimestamp(now) };
  return { Message: JSON.stringify(details), ExceptionMessage: '' };
}

/** The name under which the hub's clients know an error. */
export function hubNameOf(error: ErrorName): string {
  return hubNames[error] ?? error;
}

/** A hub that a device names is a matter of access (401001); one that an operator names is there or not. */
const musterNames: Partial<Record<ErrorName, ErrorName>> = { IotHubNotFound: 'ResourceNotFound' };

/** Muster's own API: names without the prefix of the side that threw. */
export function renderMusterError(error: ServiceError, context: ErrorContext): HttpAnswer {
  const { row, error: name } = new ServiceError(musterNames[error.error] ?? error.error, error.message);
  return {
    status: row.http,
    headers: { ...retryAfter(error), ...(row.http === 401 ? { 'www-authenticate': 'Bearer' } : {}) },
    body: { error: { code: musterCodeOf(name), message: error.message, trackingId: context.trackingId } },
  };
}

/** `DpsPreconditionFailed` and `PreconditionFailed` are one thing to a caller of this API. */
function musterCodeOf(error: ErrorName): string {
  return error.replace(/^(?:Dps|Generic|IotHub)(?=[A-Z])/u, '');
}

function retryAfter(error: ServiceError): Readonly<Record<string, string>> {
  if (error.retryAfterSeconds !== undefined) return { 'retry-after': String(Math.ceil(error.retryAfterSeconds)) };
  // Clients wait as told on 429 and 503; without a word some come back at once (dps.md 1.4.2).
  return error.row.http === 429 || error.row.http === 503 ? { 'retry-after': '5' } : {};
}

/** `07/07/2021 20:45:26`, as the hub writes it. */
function usTimestamp(epochMilliseconds: number): string {
  const [date = '', time = ''] = new Date(epochMilliseconds).toISOString().slice(0, 19).split('T');
  const [year = '', month = '', day = ''] = date.split('-');
  return `${month}/${day}/${year} ${time}`;
}
