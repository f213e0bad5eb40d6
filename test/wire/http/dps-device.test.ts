import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, instant, minutes, plus } from '../../../src/kernel/clock.ts';
import { endorsementKeyFields, renderStorageKey, storageRootKeyFields } from '../../fixtures/storage-key.ts';
import { hubHost, leafOf, openService, root, type TestService } from './service.ts';

let service: TestService;
const scope = (path: string): string => `/${service.idScope}/registrations/${path}`;
const version = 'api-version=2019-03-31';

beforeAll(async () => {
  service = await openService();
  const x509 = { signingCertificates: { primary: { certificate: root.pem } } };
  const body = JSON.stringify({ enrollmentGroupId: 'group', attestation: { type: 'x509', x509 } });
  const created = await service.dps({ method: 'PUT', path: '/enrollmentGroups/group', body });
  expect(created.status).toBe(200);
});
afterAll(() => service.close());

const register = (id: string, extra: Partial<Parameters<TestService['device']>[0]> = {}) =>
  service.device({
    method: 'PUT',
    path: `${scope(`${id}/register`)}?${version}`,
    body: JSON.stringify({ registrationId: id }),
    certificate: leafOf(id),
    ...extra,
  });

describe('with a key', () => {
  const primaryKey = Buffer.alloc(64, 1).toString('base64');
  const token = (id: string, key = primaryKey, expiresAt = plus(service.clock.now(), hours(1))) =>
    createSasToken({ resource: `${service.idScope}/registrations/${id}`, base64Key: key, expiresAt, keyName: 'registration' });
  const withToken = (id: string, sas: string) =>
    service.device({
      method: 'PUT',
      path: `${scope(`${id}/register`)}?${version}`,
      body: JSON.stringify({ registrationId: id }),
      token: sas,
    });

  beforeAll(async () => {
    const body = JSON.stringify({
      registrationId: 'key-1',
      attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey: primaryKey } },
    });
    expect((await service.dps({ method: 'PUT', path: '/enrollments/key-1', body })).status).toBe(200);
  });

  test('202 for a token in the header, and 200 with the attestation', async () => {
    const accepted = await withToken('key-1', token('key-1'));
    expect(accepted.status).toBe(202);
    const path = `${scope(`key-1/operations/${accepted.json.operationId}`)}?${version}`;
    const polled = await service.device({ path, token: token('key-1') });
    expect(polled.json).toMatchObject({
      status: 'assigned',
      registrationState: { symmetricKey: {}, assignedHub: hubHost, deviceId: 'key-1' },
    });
    expect((await service.hub.registry.get('hub-a', 'key-1')).authentication).toMatchObject({ type: 'sas', symmetricKey: { primaryKey } });
  });

  test.each([
    ['another key', () => token('key-1', Buffer.alloc(64, 2).toString('base64'))],
    ['a token that has ended', () => token('key-1', primaryKey, instant(service.clock.now() - minutes(6)))],
    ['a token for another id', () => token('key-2')],
    [
      'a token of the service API',
      () => createSasToken({ resource: 'localhost', base64Key: primaryKey, expiresAt: plus(service.clock.now(), hours(1)) }),
    ],
    ['no token at all', () => 'Bearer of nothing'],
  ])('401002 for %s, without a word of why', async (_, sas) => {
    const refused = await withToken('key-1', sas());
    expect(refused.status).toBe(401);
    expect(refused.headers['x-ms-error-code']).toBe('401002');
    expect(refused.json).toEqual({
      errorCode: 401002,
      trackingId: expect.any(String),
      message: 'Unauthorized',
      timestampUtc: expect.any(String),
    });
  });
});

describe('with a TPM', () => {
  const [endorsementKey, storageRootKey] = [endorsementKeyFields(), storageRootKeyFields()].map((fields) =>
    renderStorageKey(fields).toString('base64'),
  );
  const challenge = (id: string, tpm: object) =>
    service.device({ method: 'PUT', path: `${scope(`${id}/register`)}?${version}`, body: JSON.stringify({ registrationId: id, tpm }) });

  beforeAll(async () => {
    const body = JSON.stringify({ registrationId: 'tpm-1', attestation: { type: 'tpm', tpm: { endorsementKey } } });
    expect((await service.dps({ method: 'PUT', path: '/enrollments/tpm-1', body })).status).toBe(200);
  });

  test('the first request is answered 401 with a sealed key, and without the members of an error', async () => {
    const challenged = await challenge('tpm-1', { endorsementKey, storageRootKey });
    expect(challenged.status).toBe(401);
    expect(challenged.json).toEqual({
      message: expect.any(String),
      authenticationKey: expect.stringMatching(/^[A-Za-z0-9+/]{800,}={0,2}$/u),
      keyName: 'registration',
      trackingId: expect.any(String),
    });
    expect(challenged.headers['x-ms-error-code']).toBeUndefined();
  });

  test('404201 for an id that is not enrolled', async () => {
    const refused = await challenge('tpm-2', { endorsementKey, storageRootKey });
    expect(refused.status).toBe(404);
    expect(refused.json.errorCode).toBe(404_201);
  });

  test('401002 for the endorsement key of another TPM', async () => {
    const refused = await challenge('tpm-1', { endorsementKey: storageRootKey, storageRootKey });
    expect([refused.status, refused.json.errorCode, refused.json.authenticationKey]).toEqual([401, 401_002, undefined]);
  });

  test('400 for what is not base64', async () => {
    expect((await challenge('tpm-1', { endorsementKey: '%%%', storageRootKey })).status).toBe(400);
    expect((await challenge('tpm-1', { endorsementKey: 7 })).status).toBe(400);
  });
});

describe('register and poll', () => {
  test('202 with where and when to ask, then 200 with the hub', async () => {
    const certificate = leafOf('sensor-1');
    const accepted = await register('sensor-1', { certificate });
    expect(accepted.status).toBe(202);
    expect(accepted.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(accepted.headers['retry-after']).toMatch(/^\d+$/u);
    expect(accepted.headers.location).toBe(`https://localhost${scope('sensor-1/register')}`);
    expect(accepted.headers['x-ms-request-id']).toBeTruthy();
    expect(accepted.json).toEqual({ operationId: expect.stringMatching(/^[0-9A-Za-z.-]+$/u), status: 'assigning' });

    // Node sends two bytes with the GET.
    const polled = await service.device({
      path: `${scope(`sensor-1/operations/${accepted.json.operationId}`)}?${version}`,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: '{}',
      certificate,
    });
    expect(polled.status).toBe(200);
    expect(polled.headers['retry-after']).toBeUndefined();
    expect(polled.json).toMatchObject({
      status: 'assigned',
      registrationState: { registrationId: 'sensor-1', assignedHub: hubHost, deviceId: 'sensor-1', status: 'assigned' },
    });

    const looked = await service.device({
      method: 'POST',
      path: `${scope('sensor-1')}?${version}`,
      body: '{"registrationId":"sensor-1"}',
      certificate,
    });
    expect(looked.status).toBe(200);
    expect(looked.json).toMatchObject({ registrationId: 'sensor-1', status: 'assigned', assignedHub: hubHost });
    expect((await service.hub.registry.get('hub-a', 'sensor-1')).status).toBe('enabled');
  });

  test.each([
    ['an empty body', { body: '' }],
    ['forceRegistration', { path: 'force' }],
    ['Content-Encoding: utf-8', { headers: { 'content-encoding': 'utf-8', 'content-type': 'application/json' } }],
    ['text', { headers: { 'content-type': 'text/plain' } }],
  ])('%s is as good', async (_, extra) => {
    const path = 'path' in extra ? { path: `${scope('sensor-2/register')}?${version}&forceRegistration=true` } : {};
    expect((await register('sensor-2', { ...extra, ...path })).status).toBe(202);
  });

  test('an id with an escaped colon is decoded once', async () => {
    const accepted = await register('a:b', { path: `${scope('a%3Ab/register/')}?${version}` });
    expect(accepted.status).toBe(202);
    const polled = await service.device({
      path: `${scope(`a%3Ab/operations/${accepted.json.operationId}`)}?${version}`,
      certificate: leafOf('a:b'),
    });
    expect(polled.json.registrationState?.registrationId).toBe('a:b');
  });

  test('disabled is a terminal 200', async () => {
    const certificate = leafOf('sensor-3');
    const x509 = { clientCertificates: { primary: { certificate: certificate.pem } } };
    const entry = { registrationId: 'deny-3', provisioningStatus: 'disabled', attestation: { type: 'x509', x509 } };
    expect((await service.dps({ method: 'PUT', path: '/enrollments/deny-3', body: JSON.stringify(entry) })).json.provisioningStatus).toBe(
      'disabled',
    );
    const answer = await register('sensor-3', { certificate });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ status: 'disabled', registrationState: { registrationId: 'sensor-3', status: 'disabled' } });
  });
});

describe('refused', () => {
  test.each([
    ['an unknown scope', { path: `/0ne00000000/registrations/x/register?${version}` }, 401, 401002],
    ['no credential', { certificate: undefined }, 401, 401002],
    ['a foreign leaf', { certificate: leafOf('x', leafOf('nobody')) }, 401, 401002],
    ['another name in the leaf', { certificate: leafOf('y') }, 401, 401002],
    ['malformed JSON', { body: '{"registrationId":' }, 400, 400004],
    ['another id in the body', { body: '{"registrationId":"y"}' }, 400, 400004],
    ['a body too long', { body: JSON.stringify({ payload: 'x'.repeat(97 * 1024) }) }, 413, 413001],
    ['no api-version', { path: '?' }, 400, 400004],
    ['a malformed api-version', { path: '?api-version=latest' }, 400, 400004],
  ] as const)('%s', async (_, extra, status, errorCode) => {
    const path = 'path' in extra ? { path: extra.path.startsWith('?') ? `${scope('x/register')}${extra.path}` : extra.path } : {};
    const answer = await register('x', { ...(extra as Partial<Parameters<TestService['device']>[0]>), ...path });
    expect(answer.status).toBe(status);
    expect(answer.headers['x-ms-error-code']).toBe(String(errorCode));
    expect(answer.json).toEqual({
      errorCode,
      trackingId: answer.headers['x-ms-request-id'],
      message: expect.any(String),
      timestampUtc: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/u),
    });
  });

  test('an unknown operation is 404203, an unknown verb 405, a request for a certificate in a lookup 400', async () => {
    const certificate = leafOf('sensor-1');
    const unknown = await service.device({ path: `${scope('sensor-1/operations/4.0000000000000000.x')}?${version}`, certificate });
    expect([unknown.status, unknown.json.errorCode]).toEqual([404, 404203]);
    const verb = await service.device({ method: 'DELETE', path: `${scope('sensor-1/register')}?${version}`, certificate });
    expect([verb.status, verb.headers.allow]).toEqual([405, 'PUT']);
    const csr = await service.device({ method: 'POST', path: `${scope('sensor-1')}?${version}`, body: '{"csr":"x"}', certificate });
    expect(csr.json.errorCode).toBe(400004);
  });

  test('the tracking id of a refusal resolves to its reasons', async () => {
    const refused = await register('x', { certificate: leafOf('y') });
    const decision = await service.muster({ path: `/api/v1/decisions/${refused.json.trackingId}` });
    expect(decision.status).toBe(200);
    expect(decision.json).toMatchObject({ trackingId: refused.json.trackingId, registrationId: 'x', transport: 'https' });
  });
});
