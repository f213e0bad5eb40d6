import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from './loopback.ts';
import { leafOf, openService, root, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => (service = await openService()));
afterAll(() => service.close());

const leaf = leafOf('some-device');
const x509 = { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.pem } } } };
const entry = (registrationId: string, more: object = {}): string => JSON.stringify({ registrationId, attestation: x509, ...more });
const put = (id: string, headers: Record<string, string> = {}, more: object = {}) =>
  service.dps({ method: 'PUT', path: `/enrollments/${id}`, body: entry(id, more), headers });

describe('enrollments', () => {
  test('PUT creates once, GET shows, DELETE removes', async () => {
    const created = await put('e-1', {}, { provisioningStatus: 'disabled' });
    expect([created.status, created.json.registrationId, created.json.provisioningStatus]).toEqual([200, 'e-1', 'disabled']);
    const again = await put('e-1');
    expect([again.status, again.json.errorCode]).toEqual([409, 409201]);
    const shown = await service.dps({ path: '/Enrollments/e-1/' });
    expect([shown.status, shown.json.etag]).toEqual([200, created.json.etag]);
    const deleted = await service.dps({ method: 'DELETE', path: '/enrollments/e-1', headers: { 'if-match': '*' } });
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    const gone = await service.dps({ path: '/enrollments/e-1' });
    expect([gone.status, gone.json.errorCode]).toEqual([404, 404201]);
  });

  test('If-Match: quoted, bare, weak and * update; a stale one is 412', async () => {
    let { etag } = (await put('e-2')).json as { etag: string };
    const bare = etag.replaceAll('"', '');
    for (const header of [etag, '*', '"*"']) {
      const updated = await put('e-2', { 'if-match': header });
      expect(updated.status).toBe(200);
      etag = updated.json.etag;
    }
    const stale = await put('e-2', { 'if-match': `"${bare}"` });
    expect([stale.status, stale.json.errorCode]).toEqual([412, 412001]);
    for (const form of [(text: string) => text.replaceAll('"', ''), (text: string) => `W/${text}`]) {
      const updated = await put('e-2', { 'if-match': form(etag) });
      expect(updated.status).toBe(200);
      etag = updated.json.etag;
    }
    expect((await service.dps({ method: 'DELETE', path: '/enrollments/e-2', headers: { 'if-match': '"stale"' } })).status).toBe(412);
    expect((await service.dps({ method: 'DELETE', path: '/enrollments/e-2' })).status).toBe(204);
  });

  test('keys are in attestationmechanism (also spelt in lower case), not in GET', async () => {
    const body = JSON.stringify({
      enrollmentGroupId: 'keys',
      attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: '', secondaryKey: '' } },
    });
    expect((await service.dps({ method: 'PUT', path: '/enrollmentGroups/keys', body })).status).toBe(200);
    const shown = await service.dps({ path: '/enrollmentGroups/keys' });
    const withKeys = await service.dps({ method: 'POST', path: '/enrollmentgroups/keys/attestationmechanism' });
    expect(withKeys.status).toBe(200);
    const { primaryKey } = withKeys.json.symmetricKey as { primaryKey: string };
    expect(Buffer.from(primaryKey, 'base64').length).toBeGreaterThanOrEqual(32);
    expect(shown.text).not.toContain(primaryKey);
    expect(JSON.stringify(service.log.events)).not.toContain(primaryKey);
  });
});

describe('query', () => {
  beforeAll(async () => {
    for (const id of ['q-1', 'q-2', 'q-3', 'q-4', 'q-5']) expect((await put(id)).status).toBe(200);
  });

  const query = (headers: Record<string, string>, body = '{"query":"SELECT *"}') =>
    service.dps({ method: 'POST', path: '/enrollments/query', headers, body });

  test('pages are bare arrays, ordered, without holes; the last one has no continuation', async () => {
    const ids: string[] = [];
    let continuation: string | undefined;
    do {
      const page = await query({ 'x-ms-max-item-count': '2', ...(continuation ? { 'x-ms-continuation': continuation } : {}) });
      expect(page.status).toBe(200);
      expect(page.rawHeaders).toEqual(expect.arrayContaining(['x-ms-item-type', 'x-ms-max-item-count']));
      expect([page.headers['x-ms-item-type'], page.headers['x-ms-max-item-count']]).toEqual(['enrollment', '2']);
      ids.push(...(page.json as { registrationId: string }[]).map(({ registrationId }) => registrationId));
      continuation = page.headers['x-ms-continuation'] as string | undefined;
      if (continuation !== undefined) expect(page.rawHeaders).toContain('x-ms-continuation');
      // Paging is stable while enrollments come and go.
      if (ids.length === 2) await put('q-0');
    } while (continuation !== undefined);
    expect(ids.filter((id) => id.startsWith('q-'))).toEqual(['q-1', 'q-2', 'q-3', 'q-4', 'q-5']);
    await service.dps({ method: 'DELETE', path: '/enrollments/q-0' });
  });

  test('an empty list is [], an empty body and an empty continuation are fine', async () => {
    const none = await service.dps({ method: 'POST', path: '/registrations/no-group/query' });
    expect([none.status, none.text, none.headers['x-ms-item-type']]).toEqual([200, '[]', 'deviceRegistration']);
    const groups = await service.dps({ method: 'POST', path: '/enrollmentGroups/query', headers: { 'x-ms-continuation': '' } });
    expect([groups.status, groups.headers['x-ms-item-type']]).toEqual([200, 'enrollmentGroup']);
    expect('x-ms-continuation' in groups.headers).toBe(false);
  });

  test('WHERE selects, and its pages go on in its own order only', async () => {
    await put('q-6', {}, { provisioningStatus: 'disabled' });
    await put('q-7', {}, { provisioningStatus: 'disabled' });
    const where = JSON.stringify({
      query: "SELECT * FROM enrollments WHERE provisioningStatus = 'disabled' AND STARTSWITH(registrationId, 'q-')",
    });
    const first = await query({ 'x-ms-max-item-count': '1' }, where);
    expect(first.json).toMatchObject([{ registrationId: 'q-6' }]);
    const continuation = String(first.headers['x-ms-continuation']);
    const second = await query({ 'x-ms-max-item-count': '1', 'x-ms-continuation': continuation }, where);
    expect([second.json, 'x-ms-continuation' in second.headers]).toMatchObject([[{ registrationId: 'q-7' }], false]);
    // The token belongs to this query of this kind: with another one it is refused instead of giving a page that fits nothing.
    const foreign = await query({ 'x-ms-continuation': continuation });
    expect([foreign.status, foreign.json.errorCode]).toEqual([400, 400004]);
    const groups = await service.dps({
      method: 'POST',
      path: '/enrollmentGroups/query',
      body: where,
      headers: { 'x-ms-continuation': continuation },
    });
    expect(groups.status).toBe(400);
    for (const id of ['q-6', 'q-7']) await service.dps({ method: 'DELETE', path: `/enrollments/${id}` });
  });

  test('a query that is not understood is 400 and says what is', async () => {
    const refused = await query({}, '{"query":"SELECT registrationId"}');
    expect([refused.status, refused.json.errorCode, refused.json.message]).toEqual([
      400,
      400004,
      expect.stringContaining('Understood are SELECT *'),
    ]);
    for (const body of ['[]', '7', '{"query":7}']) expect((await query({}, body)).status).toBe(400);
    for (const body of ['', '{}', '{"query":null}', '{"query":""}']) expect((await query({}, body)).status).toBe(200);
  });

  test('a token that was tampered with is refused', async () => {
    const page = await query({ 'x-ms-max-item-count': '2' });
    const token = String(page.headers['x-ms-continuation']);
    expect((await query({ 'x-ms-continuation': token })).status).toBe(200);
    const bytes = Buffer.from(token, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect((await query({ 'x-ms-continuation': changed.toString('base64url') })).status).toBe(400);
    }
  });

  test.each([
    [{ 'x-ms-continuation': 'not a token' }],
    [{ 'x-ms-continuation': '_w' }],
    [{ 'x-ms-max-item-count': '0' }],
    [{ 'x-ms-max-item-count': '-1' }],
    [{ 'x-ms-max-item-count': 'many' }],
  ])('%o is 400', async (headers) => {
    expect((await query(headers as Record<string, string>)).json.errorCode).toBe(400004);
  });

  test('malformed JSON is 400', async () => {
    expect((await query({}, '{')).json.errorCode).toBe(400004);
  });
});

describe('bulk', () => {
  const bulk = (body: object, path = '/enrollments/') => service.dps({ method: 'POST', path, body: JSON.stringify(body) });
  const item = (registrationId: string, more: object = {}) => ({ registrationId, attestation: x509, ...more });

  test('each item stands for itself', async () => {
    expect((await bulk({ mode: 'create', enrollments: [item('b-1')] })).json).toEqual({ isSuccessful: true, errors: [] });
    const mixed = await bulk({ mode: 'create', enrollments: [item('b-1'), item('b-2'), { attestation: x509 }] });
    expect(mixed.status).toBe(200);
    expect(mixed.json).toEqual({
      isSuccessful: false,
      errors: [
        { registrationId: 'b-1', errorCode: 409201, errorStatus: expect.any(String) },
        { registrationId: '', errorCode: 400004, errorStatus: expect.any(String) },
      ],
    });
    expect((await service.dps({ path: '/enrollments/b-2' })).status).toBe(200);
  });

  test('update is unconditional, updateIfMatchEtag compares, delete needs the id', async () => {
    expect((await bulk({ mode: 'update', enrollments: [item('b-1', { provisioningStatus: 'disabled' })] })).json.isSuccessful).toBe(true);
    const { etag } = (await service.dps({ path: '/enrollments/b-1' })).json as { etag: string };
    const stale = await bulk({ mode: 'updateIfMatchEtag', enrollments: [item('b-1', { etag: '"stale"' }), item('b-2')] });
    expect(stale.json.errors).toMatchObject([{ errorCode: 412001 }, { errorCode: 400004 }]);
    expect((await bulk({ mode: 'updateIfMatchETag', enrollments: [item('b-1', { etag })] })).json.isSuccessful).toBe(true);
    expect((await bulk({ mode: 'delete', enrollments: [{ registrationId: 'b-1' }, { registrationId: 'b-2' }] })).json.isSuccessful).toBe(
      true,
    );
    expect((await bulk({ mode: 'delete', enrollments: [{ registrationId: 'b-1' }] })).json.errors).toMatchObject([{ errorCode: 404201 }]);
  });

  test('groups have their own fields', async () => {
    const group = {
      enrollmentGroupId: 'b-g',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
    };
    expect((await bulk({ mode: 'create', enrollmentGroups: [group] }, '/enrollmentGroups')).json.isSuccessful).toBe(true);
    expect((await bulk({ mode: 'create', enrollmentGroups: [group] }, '/enrollmentGroups')).json.errors).toMatchObject([
      { enrollmentGroupId: 'b-g', errorCode: 409201 },
    ]);
  });

  test.each([
    [{ mode: 'create', enrollments: Array.from({ length: 11 }, (_, at) => item(`many-${at}`)) }],
    [{ mode: 'create', enrollments: [] }],
    [{ mode: 'create' }],
    [{ mode: 'upsert', enrollments: [item('b-9')] }],
    [{ enrollments: [item('b-9')] }],
    [[]],
  ])('%# is 400', async (body) => {
    expect((await bulk(body)).json.errorCode).toBe(400004);
  });
});

describe('access', () => {
  test('no token, a broken one and one for another host are 401', async () => {
    const path = '/enrollments/x?api-version=2021-10-01';
    const bare = await ask(service.https.port, { path, headers: { host: 'localhost' } });
    expect([bare.status, bare.json.errorCode]).toEqual([401, 401002]);
    const broken = await service.dps({
      path,
      headers: { authorization: 'SharedAccessSignature sr=localhost&sig=AAAA&se=9999999999&skn=provisioningserviceowner' },
    });
    expect(broken.status).toBe(401);
    const bearer = await service.dps({ path, headers: { authorization: 'Bearer x' } });
    expect(bearer.status).toBe(401);
  });

  test('an unauthorised body is not read', async () => {
    const answer = await ask(service.https.port, {
      method: 'PUT',
      path: '/enrollments/x?api-version=2021-10-01',
      headers: { host: 'localhost' },
      body: '{"malformed',
    });
    expect(answer.status).toBe(401);
  });

  test('a host with a port is the host', async () => {
    expect((await service.dps({ path: '/enrollmentGroups/none', headers: { host: 'localhost:8443' } })).json.errorCode).toBe(404201);
  });

  test('the api-version is mandatory and well-formed', async () => {
    expect((await service.dps({ path: '/enrollments/x?api-version=' })).json.errorCode).toBe(400004);
    expect((await service.dps({ path: '/enrollments/x?api-version=soon' })).json.errorCode).toBe(400004);
    expect((await service.dps({ path: '/enrollments/x?api-version=2026-11-02-preview' })).json.errorCode).toBe(404201);
  });

  test('what nobody serves is 404 in the words of the side that was meant', async () => {
    expect((await service.dps({ path: '/enrollments/a/b/c' })).json.errorCode).toBe(404000);
    const verb = await service.dps({ method: 'PATCH', path: '/enrollments/a' });
    expect([verb.status, verb.json.errorCode]).toEqual([405, 405000]);
  });
});

test('a registration record can be read, listed by group and deleted', async () => {
  const group = {
    enrollmentGroupId: 'records',
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
  };
  await service.dps({ method: 'DELETE', path: '/enrollmentGroups/b-g' });
  expect((await service.dps({ method: 'PUT', path: '/enrollmentGroups/records', body: JSON.stringify(group) })).status).toBe(200);
  const registered = await service.device({
    method: 'PUT',
    path: `/${service.idScope}/registrations/rec-1/register?api-version=2021-06-01`,
    certificate: leafOf('rec-1'),
  });
  expect(registered.status).toBe(202);
  const record = await service.dps({ path: '/registrations/REC-1' });
  expect(record.json).toMatchObject({ registrationId: 'rec-1', status: expect.any(String) });
  const listed = await service.dps({ method: 'POST', path: '/registrations/records/query', body: '{"query":"*"}' });
  expect(listed.json).toMatchObject([{ registrationId: 'rec-1' }]);
  expect((await service.dps({ method: 'DELETE', path: '/registrations/rec-1', headers: { 'if-match': '"stale"' } })).status).toBe(412);
  expect((await service.dps({ method: 'DELETE', path: '/registrations/rec-1' })).status).toBe(204);
  expect((await service.dps({ path: '/registrations/rec-1' })).json.errorCode).toBe(404202);
});
