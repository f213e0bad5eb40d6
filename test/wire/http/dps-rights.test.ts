import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { provisioningRights, type ProvisioningRight } from '../../../src/provisioning/service.ts';
import { openService, type TestService } from './service.ts';

// Every operation of the service API, and the one right that it takes (AccessRightsDescription).

let service: TestService;
beforeAll(async () => {
  service = await openService();
  for (const right of provisioningRights) await service.addPolicy(right, [right]);
});
afterAll(() => service.close());

const query = '{"query":"SELECT *"}';
const operations: readonly (readonly [method: string, path: string, body: string | undefined, right: ProvisioningRight])[] = [
  ['GET', '/enrollments/x', undefined, 'EnrollmentRead'],
  ['PUT', '/enrollments/x', '{}', 'EnrollmentWrite'],
  ['DELETE', '/enrollments/x', undefined, 'EnrollmentWrite'],
  ['POST', '/enrollments/query', query, 'EnrollmentRead'],
  ['POST', '/enrollments', '{"mode":"create","enrollments":[]}', 'EnrollmentWrite'],
  // It shows keys, and who has these can be the device: as much as writing the entry.
  ['POST', '/enrollments/x/attestationmechanism', undefined, 'EnrollmentWrite'],
  ['GET', '/enrollmentGroups/x', undefined, 'EnrollmentRead'],
  ['PUT', '/enrollmentGroups/x', '{}', 'EnrollmentWrite'],
  ['DELETE', '/enrollmentGroups/x', undefined, 'EnrollmentWrite'],
  ['POST', '/enrollmentGroups/query', query, 'EnrollmentRead'],
  ['POST', '/enrollmentGroups/x/attestationmechanism', undefined, 'EnrollmentWrite'],
  ['GET', '/registrations/x', undefined, 'RegistrationStatusRead'],
  ['DELETE', '/registrations/x', undefined, 'RegistrationStatusWrite'],
  ['POST', '/registrations/x/query', undefined, 'RegistrationStatusRead'],
];

describe.each(operations)('%s %s', (method, path, body, right) => {
  test.each(provisioningRights)('with %s alone', async (held) => {
    const asked = { method, path, ...(body === undefined ? {} : { body }) };
    const { status, json } = await service.dps({ ...asked, keyName: held });
    if (held === right) expect([401, 403]).not.toContain(status);
    else expect([status, json.errorCode]).toEqual([403, 403002]);
  });
});
