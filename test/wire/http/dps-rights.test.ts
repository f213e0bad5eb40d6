import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { provisioningRights } from '../../../src/contracts/dps/rights.ts';
import type { Asked } from './loopback.ts';
import { openService, type TestService } from './service.ts';

// Every operation of the service API with every right of a policy alone (dps.md 4.1).

let service: TestService;
const names = [...provisioningRights, 'all but EnrollmentRead', 'all but EnrollmentWrite'] as const;
const keyNameOf = (name: string): string => name.replaceAll(' ', '-');

beforeAll(async () => {
  service = await openService();
  for (const right of provisioningRights) {
    await service.provisioning.policies.create('dps-a', right, { rights: [right], precondition: { kind: 'absent' } });
    const others = provisioningRights.filter((other) => other !== right);
    await service.provisioning.policies.create('dps-a', keyNameOf(`all but ${right}`), {
      rights: others,
      precondition: { kind: 'absent' },
    });
  }
});
afterAll(() => service.close());

const keys = JSON.stringify({ attestation: { type: 'symmetricKey' } });
const bulk = (field: string): string =>
  JSON.stringify({ mode: 'delete', [field]: [{ [field === 'enrollments' ? 'registrationId' : 'enrollmentGroupId']: 'none' }] });

const operations: readonly (readonly [string, string, Asked, number])[] = [
  ['get enrollment', 'EnrollmentRead', { path: '/enrollments/none' }, 404],
  ['put enrollment', 'EnrollmentWrite', { method: 'PUT', path: '/enrollments/e', body: keys, headers: { 'if-match': '*' } }, 200],
  ['delete enrollment', 'EnrollmentWrite', { method: 'DELETE', path: '/enrollments/none' }, 404],
  ['query enrollments', 'EnrollmentRead', { method: 'POST', path: '/enrollments/query' }, 200],
  ['bulk enrollments', 'EnrollmentWrite', { method: 'POST', path: '/enrollments', body: bulk('enrollments') }, 200],
  ['keys of an enrollment', 'EnrollmentWrite', { method: 'POST', path: '/enrollments/none/attestationmechanism' }, 404],
  ['get group', 'EnrollmentRead', { path: '/enrollmentGroups/none' }, 404],
  ['put group', 'EnrollmentWrite', { method: 'PUT', path: '/enrollmentGroups/g', body: keys, headers: { 'if-match': '*' } }, 200],
  ['delete group', 'EnrollmentWrite', { method: 'DELETE', path: '/enrollmentGroups/none' }, 404],
  ['query groups', 'EnrollmentRead', { method: 'POST', path: '/enrollmentGroups/query' }, 200],
  ['bulk groups', 'EnrollmentWrite', { method: 'POST', path: '/enrollmentGroups', body: bulk('enrollmentGroups') }, 200],
  ['keys of a group', 'EnrollmentWrite', { method: 'POST', path: '/enrollmentGroups/none/attestationmechanism' }, 404],
  ['get record', 'RegistrationStatusRead', { path: '/registrations/none' }, 404],
  ['delete record', 'RegistrationStatusWrite', { method: 'DELETE', path: '/registrations/none' }, 404],
  ['query records', 'RegistrationStatusRead', { method: 'POST', path: '/registrations/none/query' }, 200],
];

describe.each(operations)('%s needs %s', (_name, needed, asked, granted) => {
  test.each(names)('with %s', async (name) => {
    const has = name.startsWith('all but ') ? name !== `all but ${needed}` : name === needed;
    const answer = await service.dps({ ...asked, keyName: keyNameOf(name) });
    expect(answer.status).toBe(has ? granted : 403);
    if (has) return;
    expect(answer.json).toEqual({
      errorCode: 403002,
      trackingId: answer.headers['x-ms-request-id'],
      message: `The policy of this token does not have the right ${needed}.`,
      timestampUtc: expect.any(String),
    });
  });

  test('with a token of another host, or none', async () => {
    const foreign = await service.dps({
      ...asked,
      headers: { ...asked.headers, authorization: 'SharedAccessSignature sr=x&sig=eA%3D%3D&se=9999999999&skn=ServiceConfig' },
    });
    expect([foreign.status, foreign.json.message]).toEqual([401, 'Unauthorized']);
    expect((await service.dps({ ...asked, headers: { ...asked.headers, authorization: '' } })).status).toBe(401);
  });
});
