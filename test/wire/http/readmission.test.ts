import { afterEach, beforeEach, expect, test } from 'vitest';

import { leafOf, openService, root, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => {
  service = await openService();
  await put('/enrollmentGroups/thermostats', {
    enrollmentGroupId: 'thermostats',
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
  });
});
afterEach(() => service.close());

const leaf = leafOf('sensor-1');
const deny = (provisioningStatus: string) => ({
  registrationId: 'deny',
  attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.pem } } } },
  provisioningStatus,
});
const put = (path: string, body: object, headers: Record<string, string> = {}) =>
  service.dps({ method: 'PUT', path, body: JSON.stringify(body), headers });
const status = async (): Promise<string> => {
  const path = `/${service.idScope}/registrations/sensor-1/register?api-version=2021-06-01`;
  const answer = await service.device({ method: 'PUT', path, certificate: leaf });
  return answer.json.status;
};
const refuse = { 'x-muster-readmit': 'refuse' };
const told = 'x-muster-readmits';

test('a client of Azure that deletes or enables the deny is told in a header, and the answer is as ever', async () => {
  await put('/enrollments/deny', deny('disabled'));
  const deleted = await service.dps({ method: 'DELETE', path: '/enrollments/deny' });
  expect([deleted.status, deleted.text, deleted.headers[told]]).toEqual([204, '', 'group thermostats']);
  expect(await status()).toBe('assigning');

  await put('/enrollments/deny', deny('disabled'));
  const enabled = await put('/enrollments/deny', deny('enabled'), { 'if-match': '*' });
  expect([enabled.status, enabled.json.provisioningStatus, enabled.headers[told]]).toEqual([200, 'enabled', 'group thermostats']);
  expect(Object.keys(enabled.json)).not.toContain('readmits');

  await put('/enrollments/deny', deny('disabled'), { 'if-match': '*' });
  const body = JSON.stringify({ mode: 'delete', enrollments: [{ registrationId: 'deny' }] });
  const bulk = await service.dps({ method: 'POST', path: '/enrollments', body });
  expect([bulk.status, bulk.json.isSuccessful, bulk.headers[told]]).toEqual([200, true, 'group thermostats']);
});

test('what lets nobody in has no header', async () => {
  const created = await put('/enrollments/deny', deny('disabled'));
  expect([created.status, created.headers[told]]).toEqual([200, undefined]);
  await service.dps({ method: 'DELETE', path: '/enrollmentGroups/thermostats' });
  const deleted = await service.dps({ method: 'DELETE', path: '/enrollments/deny', headers: refuse });
  expect([deleted.status, deleted.headers[told]]).toEqual([204, undefined]);
});

test('whoever asks for a refusal gets one, and the deny stays', async () => {
  await put('/enrollments/deny', deny('disabled'));
  const refused = await service.dps({ method: 'DELETE', path: '/enrollments/deny', headers: refuse });
  expect([refused.status, refused.json.errorCode, refused.headers[told]]).toEqual([409, 409900, undefined]);
  expect(refused.json.message).toContain("sensor-1 is let in by the enrollment group 'thermostats'");
  expect((await put('/enrollments/deny', deny('enabled'), { ...refuse, 'if-match': '*' })).status).toBe(409);
  expect(await status()).toBe('disabled');
});

test("lifting a block over Muster's API is told, or refused, alike", async () => {
  await status();
  const body = JSON.stringify({ selectors: [{ kind: 'registrationId', value: 'sensor-1' }], reason: 'lost' });
  const created = await service.muster({ method: 'POST', path: '/api/v1/blocks', body });
  const path = `/api/v1/blocks/${created.json.id}`;
  expect(await status()).toBe('disabled');
  const refused = await service.muster({ method: 'DELETE', path, headers: refuse });
  expect([refused.status, refused.json.error.code]).toEqual([409, 'WouldReadmit']);
  const lifted = await service.muster({ method: 'DELETE', path });
  expect([lifted.status, lifted.headers[told]]).toEqual([204, 'group thermostats']);
  expect(await status()).toBe('assigning');
});

test('enrollments that never decide are marked for a client that asks, and for no other', async () => {
  await put('/enrollments/deny', deny('disabled'));
  await put('/enrollments/sensor-1', { ...deny('enabled'), registrationId: 'sensor-1' });
  const show = { 'x-muster-shadows': 'show' };
  const query = (headers: Record<string, string>) =>
    service.dps({ method: 'POST', path: '/enrollments/query', body: '{"query":"SELECT *"}', headers });
  const marks = async (headers: Record<string, string>) =>
    (await query(headers)).json.map((one: any) => [one.registrationId, one.shadowedBy]);
  expect(await marks(show)).toEqual([
    ['deny', undefined],
    ['sensor-1', 'individual deny'],
  ]);
  expect((await service.dps({ path: '/enrollments/sensor-1', headers: show })).json.shadowedBy).toBe('individual deny');
  expect(await marks({})).toEqual([
    ['deny', undefined],
    ['sensor-1', undefined],
  ]);
  expect(Object.keys((await service.dps({ path: '/enrollments/sensor-1' })).json)).not.toContain('shadowedBy');
  const listed = await service.muster({ path: '/api/v1/dps/dps-a/shadowed?top=1&after=deny' });
  expect(listed.json).toEqual({ items: [{ kind: 'individual', id: 'sensor-1', by: [{ kind: 'individual', id: 'deny' }] }] });
  expect((await service.muster({ path: '/api/v1/dps/none/shadowed' })).status).toBe(404);
});
