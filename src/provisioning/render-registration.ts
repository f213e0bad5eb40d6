import { isSince, payloadsSince, returnsSince } from '../contracts/api-version.ts';
import type { DeviceRegistrationResult, DeviceRegistrationState } from '../contracts/dps/enrollment.ts';
import { renderTimestamp } from '../contracts/timestamp.ts';
import type { RegistrationRow } from './ports.ts';

/** An entity tag as bodies of the service API carry it: with the quotes that `If-Match` wants (chapter 1.2.1). */
export function quoteEtag(etag: string): string {
  return `"${etag}"`;
}

/** A registration record as the service API shows it. */
export function renderRecord(row: RegistrationRow): DeviceRegistrationState {
  return {
    registrationId: row.registrationId,
    createdDateTimeUtc: renderTimestamp(row.createdAt),
    ...assignment(row),
    status: row.status,
    ...(row.status === 'failed' ? { errorCode: row.errorCode ?? 0, errorMessage: row.errorMessage ?? '' } : {}),
    lastUpdatedDateTimeUtc: renderTimestamp(row.updatedAt),
    etag: quoteEtag(row.etag),
    ...(row.payload === undefined ? {} : { payload: row.payload }),
  };
}

/**
 * The same record as its device sees it in its version of the device API: the entity tag is base64 of the quoted one
 * (chapter 1.2.1), and words that the version does not know are left out or said with those that it knows.
 */
export function renderResult(record: RegistrationRow, apiVersion?: string): DeviceRegistrationResult {
  const row = apiVersion === undefined ? record : inVersion(record, apiVersion);
  return {
    ...attestationOf(row),
    ...renderRecord(row),
    etag: Buffer.from(quoteEtag(row.etag)).toString('base64'),
  };
}

function inVersion({ payload, substatus, ...row }: RegistrationRow, apiVersion: string): RegistrationRow {
  const isReturn = substatus === 'reprovisionedToInitialAssignment';
  const word = isReturn && !isSince(apiVersion, returnsSince) ? 'initialAssignment' : substatus;
  return {
    ...row,
    ...(word === undefined ? {} : { substatus: word }),
    ...(payload === undefined || !isSince(apiVersion, payloadsSince) ? {} : { payload }),
  };
}

function attestationOf(row: RegistrationRow): Pick<DeviceRegistrationResult, 'x509' | 'symmetricKey' | 'tpm'> {
  const { leafSha256, tpmAuthenticationKey, status, enrollmentKind, enrollmentId } = row;
  // Live captures show an empty object for certificates; with members, Java wants every one of them.
  if (leafSha256 !== undefined) return { x509: {} };
  if (tpmAuthenticationKey !== undefined) return status === 'assigned' ? { tpm: { authenticationKey: tpmAuthenticationKey } } : {};
  return { symmetricKey: enrollmentKind === 'group' ? { enrollmentGroupId: enrollmentId } : {} };
}

/** What a disabled device sees: neither hub nor device id, whatever the record remembers. */
export function renderDisabled(registrationId: string): DeviceRegistrationResult {
  return { registrationId, status: 'disabled' };
}

// A record that is disabled or failed still remembers the hub it had, for the next registration; nobody is shown it.
function assignment(row: RegistrationRow): Partial<DeviceRegistrationState> {
  if (row.status !== 'assigned') return {};
  return {
    ...(row.assignedHub === undefined ? {} : { assignedHub: row.assignedHub }),
    ...(row.deviceId === undefined ? {} : { deviceId: row.deviceId }),
    ...(row.substatus === undefined ? {} : { substatus: row.substatus }),
  };
}
