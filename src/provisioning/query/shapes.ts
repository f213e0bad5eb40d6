import type { DeviceRegistrationState, EnrollmentGroup, IndividualEnrollment } from '../../contracts/dps/enrollment.ts';
import type { Shape } from './condition.ts';

/** Members of both kinds of enrollment (chapter 4.2); the registration state of one is not part of a query. */
const common = [
  'attestation',
  'capabilities',
  'iotHubHostName',
  'initialTwin',
  'etag',
  'provisioningStatus',
  'reprovisionPolicy',
  'createdDateTimeUtc',
  'lastUpdatedDateTimeUtc',
  'allocationPolicy',
  'iotHubs',
  'customAllocationDefinition',
] as const satisfies readonly (keyof IndividualEnrollment & keyof EnrollmentGroup)[];

const caseless = new Set(['registrationId', 'enrollmentGroupId', 'iotHubHostName', 'assignedHub', 'allocationPolicy']);
const moments = new Set(['createdDateTimeUtc', 'lastUpdatedDateTimeUtc']);

const shape = (members: readonly string[]): Shape => ({ members, caseless, moments });

export const individualShape = shape([
  'registrationId',
  'deviceId',
  'optionalDeviceInformation',
  ...common,
] satisfies (keyof IndividualEnrollment)[]);

export const groupShape = shape(['enrollmentGroupId', ...common] satisfies (keyof EnrollmentGroup)[]);

export const recordShape = shape([
  'registrationId',
  'createdDateTimeUtc',
  'assignedHub',
  'deviceId',
  'status',
  'substatus',
  'errorCode',
  'errorMessage',
  'lastUpdatedDateTimeUtc',
  'etag',
  'payload',
] satisfies (keyof DeviceRegistrationState)[]);
