import { isSince, payloadsSince } from '../contracts/api-version.ts';
import type { AdmittedDevice, Assignment } from './assign-device.ts';
import type { Attempt, Outcome } from './attempt.ts';
import type { EnrollmentRow, RegistrationRow } from './ports.ts';

type RecordHead = Pick<RegistrationRow, 'instance' | 'registrationId' | 'enrollmentKind' | 'enrollmentId' | 'createdAt' | 'updatedAt'>;

/** The spelling of the id and the time of creation are those of the first registration (chapter 7). */
export function recordHead({
  attempt,
  entry,
  at,
  previous,
}: {
  readonly attempt: Attempt;
  readonly entry: Pick<EnrollmentRow, 'kind' | 'id'>;
  readonly at: Outcome['at'];
  readonly previous: RegistrationRow | undefined;
}): RecordHead {
  return {
    instance: attempt.instance.name,
    registrationId: previous?.registrationId ?? attempt.request.registrationId,
    enrollmentKind: entry.kind,
    enrollmentId: entry.id,
    createdAt: previous?.createdAt ?? at,
    updatedAt: at,
  };
}

/** What a registration came to, as its record keeps it. */
export function resultOf(
  assignment: Assignment,
  { previous, apiVersion }: Pick<AdmittedDevice, 'previous' | 'apiVersion'>,
): Pick<RegistrationRow, 'status' | 'substatus' | 'assignedHub' | 'deviceId' | 'errorCode' | 'errorMessage' | 'payload'> {
  if (!assignment.ok) {
    return { ...homeOf(previous), status: 'failed', errorCode: assignment.errorCode, errorMessage: assignment.errorMessage };
  }
  const { substatus, hubHostName, deviceId, payload } = assignment;
  const isKnown = apiVersion === undefined || isSince(apiVersion, payloadsSince);
  return {
    status: 'assigned',
    substatus,
    assignedHub: hubHostName,
    deviceId,
    ...(payload === undefined || !isKnown ? {} : { payload }),
  };
}

/** Where the device was: the next registration has to know what to move, to keep or to remove. */
export function homeOf(previous: RegistrationRow | undefined): Pick<RegistrationRow, 'assignedHub' | 'deviceId'> {
  return {
    ...(previous?.assignedHub === undefined ? {} : { assignedHub: previous.assignedHub }),
    ...(previous?.deviceId === undefined ? {} : { deviceId: previous.deviceId }),
  };
}
