import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus } from '../../../src/kernel/clock.ts';
import type { TelemetryRow } from '../../../src/hub/ports.ts';
import { ask } from './loopback.ts';
import { hubHost, leafOf, openService, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => (service = await openService()));
afterAll(() => service.close());

const put = (id: string, body: object = {}, headers: Record<string, string> = {}) =>
  service.hubService({
    method: 'PUT',
    path: `/devices/${encodeURIComponent(id)}`,
    body: JSON.stringify({ deviceId: id, ...body }),
    headers,
  });

const tokenOf = async (id: string): Promise<string> => {
  const { primaryKey } = (await service.hub.registry.get('hub-a', id)).authentication.symmetricKey;
  return createSasToken({ resource: `${hubHost}/devices/${id}`, base64Key: primaryKey!, expiresAt: plus(service.clock.now(), hours(1)) });
};

describe('identities', () => {
  test('PUT creates with keys and a quoted ETag; a second one is 409', async () => {
    const created = await put('d-1');
    expect(created.status).toBe(200);
    expect(created.headers.etag).toBe(`"${created.json.etag}"`);
    expect(created.json.authentication.symmetricKey.primaryKey).toMatch(/^[A-Za-z0-9+/]{43}=$/u);
    const shown = await service.hubService({ path: '/devices/d-1' });
    expect([shown.status, shown.headers.etag]).toEqual([200, created.headers.etag]);
    const again = await put('d-1', {}, { 'if-match': '""' });
    expect([again.status, again.headers['iothub-errorcode']]).toEqual([409, 'DeviceAlreadyExists']);
    expect(again.json).toEqual({
      Message: expect.stringMatching(/^ErrorCode:DeviceAlreadyExists;/u),
      ExceptionMessage: expect.stringMatching(
        new RegExp(`^Tracking ID:${String(again.headers['x-ms-request-id'])}-TimeStamp:06/15/2026 12:\\d\\d:\\d\\d$`, 'u'),
      ),
    });
  });

  test('If-Match decides over update and delete', async () => {
    const { etag } = (await put('d-2')).json as { etag: string };
    expect((await put('d-2', { status: 'disabled' }, { 'if-match': '"c3RhbGU="' })).headers['iothub-errorcode']).toBe('PreconditionFailed');
    expect((await put('d-2', { status: 'disabled' }, { 'if-match': `"${etag}"` })).json.status).toBe('disabled');
    expect((await put('d-2', { status: 'enabled' }, { 'if-match': '"*"' })).json.status).toBe('enabled');
    const stale = await service.hubService({ method: 'DELETE', path: '/devices/d-2', headers: { 'if-match': `"${etag}"` } });
    expect(stale.status).toBe(412);
    const deleted = await service.hubService({
      method: 'DELETE',
      path: '/devices/d-2',
      headers: { 'if-match': '"*"', 'content-length': '0' },
    });
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    const gone = await service.hubService({ path: '/devices/d-2' });
    expect([gone.status, gone.headers['iothub-errorcode']]).toEqual([404, 'DeviceNotFound']);
    expect(gone.json.Message).toMatch(/^ErrorCode:DeviceNotFound;/u);
  });

  test('ids are decoded once', async () => {
    const id = "a%2F:+#?$'(1)";
    expect((await put(id)).json.deviceId).toBe(id);
    expect((await service.hubService({ path: `/devices/${encodeURIComponent(id)}` })).json.deviceId).toBe(id);
    expect((await service.hubService({ method: 'DELETE', path: `/devices/${encodeURIComponent(id)}` })).status).toBe(204);
  });

  test('GET /devices lists up to top, with and without a trailing slash', async () => {
    await put('list-1');
    await put('list-2');
    const all = await service.hubService({ path: '/devices' });
    expect((all.json as { deviceId: string }[]).map(({ deviceId }) => deviceId)).toEqual(expect.arrayContaining(['list-1', 'list-2']));
    expect((await service.hubService({ path: '/devices/?top=1' })).json).toHaveLength(1);
    expect((await service.hubService({ path: '/devices/?top=none' })).status).toBe(400);
    const statistics = await service.hubService({ path: '/statistics/devices' });
    expect(statistics.json.totalDeviceCount).toBe((all.json as unknown[]).length);
  });

  test('bulk: each item stands for itself, a failure makes the answer 400', async () => {
    const bulk = (items: object[]) => service.hubService({ method: 'POST', path: '/devices/', body: JSON.stringify(items) });
    const created = await bulk([
      { id: 'bulk-1', importMode: 'create', tags: { floor: 1 } },
      { id: 'bulk-2', importMode: 'create' },
    ]);
    expect([created.status, created.json]).toEqual([200, { isSuccessful: true, errors: [], warnings: [] }]);
    expect((await service.hubService({ path: '/twins/bulk-1' })).json.tags).toEqual({ floor: 1 });
    const mixed = await bulk([
      { id: 'bulk-1', importMode: 'create' },
      { id: 'bulk-2', importMode: 'update', status: 'disabled' },
      { importMode: 'delete' },
    ]);
    expect(mixed.status).toBe(400);
    expect(mixed.json).toMatchObject({
      isSuccessful: false,
      errors: [{ deviceId: 'bulk-1', errorCode: 'DeviceAlreadyExists' }, { errorCode: 'ArgumentInvalid' }],
    });
    expect((await service.hub.registry.get('hub-a', 'bulk-2')).status).toBe('disabled');
    const removed = await bulk([
      { id: 'bulk-1', importMode: 'delete' },
      { id: 'bulk-2', importMode: 'deleteIfMatchETag' },
    ]);
    expect(removed.status).toBe(200);
    expect((await bulk([])).status).toBe(400);
    expect((await bulk([{ id: 'x', importMode: 'upsert' }])).status).toBe(400);
  });

  test('bulk: an identity that stands there twice is refused, and nothing is written', async () => {
    const bulk = (items: object[]) => service.hubService({ method: 'POST', path: '/devices/', body: JSON.stringify(items) });
    for (const twice of [
      [{ id: 'twice' }, { id: 'other' }, { id: 'twice', importMode: 'delete' }],
      [{ id: 'other' }, { id: 'other', moduleId: 'm' }, { id: 'other', moduleId: 'm', importMode: 'update' }],
    ]) {
      const refused = await bulk(twice);
      expect([refused.status, refused.headers['iothub-errorcode']]).toEqual([400, 'DeviceDefinedMultipleTimes']);
      expect(refused.json.Message).toMatch(/ErrorCode:DeviceDefinedMultipleTimes/u);
    }
    expect((await service.hubService({ path: '/devices/other' })).status).toBe(404);
    // An id in another case, and a module of the same device, are others.
    expect((await bulk([{ id: 'other' }, { id: 'Other' }, { id: 'other', moduleId: 'm' }])).status).toBe(200);
  });
});

describe('twins', () => {
  test('GET, PATCH and PUT, conditional and not, without an ETag header', async () => {
    await put('t-1');
    const send = (method: string, body: object, headers: Record<string, string> = {}) =>
      service.hubService({ method, path: '/twins/t-1', body: JSON.stringify(body), headers });
    const patched = await send('PATCH', { tags: { site: 'north' }, properties: { desired: { interval: 5 } } });
    expect(patched.status).toBe(200);
    expect(patched.headers.etag).toBeUndefined();
    expect(patched.json).toMatchObject({ tags: { site: 'north' }, properties: { desired: { interval: 5, $version: 2 } } });
    expect((await send('PATCH', { tags: { a: 1 } }, { 'if-match': '"AAAAAAAAAAE="' })).headers['iothub-errorcode']).toBe(
      'PreconditionFailed',
    );
    expect((await send('PATCH', { tags: { a: 1 } }, { 'if-match': `"${patched.json.etag}"` })).json.tags).toEqual({ site: 'north', a: 1 });
    expect((await send('PUT', { tags: { b: 2 } }, { 'if-match': '*' })).json.tags).toEqual({ b: 2 });
    expect((await service.hubService({ path: '/TWINS/t-1/' })).json.tags).toEqual({ b: 2 });
    expect((await service.hubService({ path: '/twins/nobody' })).headers['iothub-errorcode']).toBe('DeviceNotFound');
  });

  test('the query that lists devices pages; any other says what is missing', async () => {
    const query = (text: string, headers: Record<string, string> = {}, path = '/devices/query') =>
      service.hubService({ method: 'POST', path, body: JSON.stringify({ query: text }), headers });
    const all = (await query('SELECT * FROM devices')).json as { deviceId: string; properties: object }[];
    expect(all.length).toBeGreaterThan(2);
    expect(all[0]?.properties).toBeDefined();
    const ids: string[] = [];
    let continuation: string | undefined;
    do {
      const page = await query('select * from devices', {
        'x-ms-max-item-count': '1',
        ...(continuation ? { 'x-ms-continuation': continuation } : {}),
      });
      expect(page.headers['x-ms-item-type']).toBe('Twin');
      ids.push(...(page.json as { deviceId: string }[]).map(({ deviceId }) => deviceId));
      continuation = page.headers['x-ms-continuation'] as string | undefined;
    } while (continuation !== undefined);
    expect(ids).toEqual(all.map(({ deviceId }) => deviceId));
    expect((await query('SELECT * FROM devices', {}, '/devices%2Fquery')).status).toBe(200);

    expect((await put('list-edge', { capabilities: { iotEdge: true } })).status).toBe(200);
    const edge = await query('select * from devices where capabilities.iotEdge = true', { 'x-ms-max-item-count': '1' });
    expect((edge.json as { deviceId: string }[]).map(({ deviceId }) => deviceId)).toEqual(['list-edge']);
    expect(edge.headers).not.toHaveProperty('x-ms-continuation');
    for (const text of ['SELECT * FROM devices WHERE tags.a = 1', 'SELECT deviceId FROM devices', 'SELECT * FROM devices.modules']) {
      const refused = await query(text);
      expect(refused.status).toBe(400);
      expect(refused.json.Message).toContain('query language is not available yet');
    }
  });
});

describe('rights', () => {
  test.each([
    ['registryRead', 'GET', '/devices/d-1', 200],
    ['registryRead', 'DELETE', '/devices/d-1', 403],
    ['registryRead', 'GET', '/twins/d-1', 403],
    ['service', 'GET', '/twins/d-1', 200],
    ['service', 'GET', '/devices/d-1', 403],
    ['device', 'GET', '/statistics/devices', 403],
    ['registryReadWrite', 'GET', '/statistics/devices', 200],
  ])('%s: %s %s is %i', async (keyName, method, path, status) => {
    expect((await service.hubService({ keyName, method, path })).status).toBe(status);
  });

  test('a token covers what is below its resource, not its neighbours', async () => {
    expect((await service.hubService({ path: '/devices/d-1', resource: `${hubHost}/devices/d-1` })).status).toBe(200);
    expect((await service.hubService({ path: '/DEVICES/d-1', resource: `${hubHost}/devices/d-1` })).status).toBe(200);
    const other = await service.hubService({ path: '/devices/t-1', resource: `${hubHost}/devices/d-1` });
    expect([other.status, other.headers['iothub-errorcode']]).toEqual([401, 'IotHubUnauthorizedAccess']);
  });

  test('a missing token, api-version or hub is refused in the hub’s words', async () => {
    const bare = await ask(service.https.port, { path: '/devices/d-1?api-version=2021-04-12', headers: { host: hubHost } });
    expect([bare.status, bare.headers['iothub-errorcode']]).toEqual([401, 'IotHubUnauthorizedAccess']);
    const version = await service.hubService({ path: '/devices/d-1?api-version=' });
    expect([version.status, version.headers['iothub-errorcode']]).toEqual([400, 'InvalidProtocolVersion']);
    const elsewhere = await service.hubService({ path: '/devices/d-1', headers: { host: 'elsewhere.example' } });
    expect([elsewhere.status, elsewhere.headers['iothub-errorcode']]).toEqual([401, 'IotHubNotFound']);
    const unknown = await service.hubService({ path: '/jobs/v2/query' });
    expect([unknown.status, unknown.headers['iothub-errorcode']]).toEqual([404, 'GenericNotFound']);
    const malformed = await service.hubService({ method: 'PUT', path: '/devices/d-1', body: '{' });
    expect([malformed.status, malformed.headers['iothub-errorcode']]).toEqual([400, 'GenericBadRequest']);
  });
});

describe('telemetry', () => {
  const events = '/devices/tele-1/messages/events?api-version=2020-03-13';
  let token: string;
  beforeAll(async () => {
    await put('tele-1');
    token = await tokenOf('tele-1');
  });

  let markers = 0;
  /** What is stored of a device by the time `act` is done, read as a monitor would. */
  async function storedBy(deviceId: string, act: () => Promise<void>): Promise<readonly TelemetryRow[]> {
    await act();
    const marker = `marker ${(markers += 1)}`;
    expect((await service.device({ method: 'POST', path: events, headers: { host: hubHost }, token, body: marker })).status).toBe(204);
    const stop = new AbortController();
    const rows: TelemetryRow[] = [];
    for await (const row of service.hub.monitor.follow('hub-a', { after: 0, signal: stop.signal })) {
      if (Buffer.from(row.body).toString() === marker) stop.abort();
      else if (row.deviceId === deviceId && row.source === 'Telemetry') rows.push(row);
    }
    return rows;
  }

  test('one message: 204 after it is stored, headers become properties', async () => {
    const [row] = await storedBy('tele-1', async () => {
      const sent = await service.device({
        method: 'POST',
        path: events,
        token,
        headers: {
          host: hubHost,
          'iothub-to': '/devices/tele-1/messages/events',
          'iothub-messageid': 'm-1',
          'IoTHub-CorrelationId': 'c-1',
          'iothub-contenttype': 'application/json',
          'iothub-contentencoding': 'utf-8',
          'iothub-app-TempAlert': 'true',
          'iothub-app-__proto__': 'x',
          'x-other': 'ignored',
        },
        body: Buffer.from([0, 255, 1]),
      });
      expect([sent.status, sent.text]).toEqual([204, '']);
    });
    expect([...(row?.body ?? [])]).toEqual([0, 255, 1]);
    expect(row?.systemProperties).toMatchObject({
      'message-id': 'm-1',
      'correlation-id': 'c-1',
      to: '/devices/tele-1/messages/events',
      'content-type': 'application/json',
      'content-encoding': 'utf-8',
    });
    expect(Object.entries(row?.applicationProperties ?? {})).toEqual([
      ['TempAlert', 'true'],
      ['__proto__', 'x'],
    ]);
  });

  test('a batch is stored in order, or refused whole', async () => {
    await put('tele-2');
    const send = async (body: string) =>
      service.device({
        method: 'POST',
        path: '/devices/tele-2/messages/events?api-version=2020-03-13',
        token: await tokenOf('tele-2'),
        headers: { host: hubHost, 'content-type': 'application/vnd.microsoft.iothub.json; charset=utf-8' },
        body,
      });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const rows = await storedBy('tele-2', async () => {
      const batch = [
        { body: base64('one'), properties: { 'iothub-app-n': 1, 'iothub-messageid': 'b-1' } },
        { body: 'two', base64Encoded: false, properties: { plain: 'yes' } },
      ];
      expect((await send(JSON.stringify(batch))).status).toBe(204);
      for (const bad of [
        '',
        '[]',
        '{}',
        '[{}]',
        '[{"body":"%%%%"}]',
        `[{"body":"${base64('ok')}"},{"body":7}]`,
        '[{"body":"","properties":{"a":{}}}]',
      ]) {
        expect((await send(bad)).status).toBe(400);
      }
      const large = await send(JSON.stringify([{ body: base64('x'.repeat(256 * 1024 + 1)) }]));
      expect([large.status, large.headers['iothub-errorcode']]).toEqual([413, 'MessageTooLarge']);
    });
    expect(rows.map((row) => [Buffer.from(row.body).toString(), row.systemProperties['message-id'], row.applicationProperties])).toEqual([
      ['one', 'b-1', { n: '1' }],
      ['two', undefined, { plain: 'yes' }],
    ]);
  });

  test('a message above 256 KB is 413', async () => {
    const sent = await service.device({
      method: 'POST',
      path: events,
      token,
      headers: { host: hubHost },
      body: Buffer.alloc(256 * 1024 + 1),
    });
    expect([sent.status, sent.headers['iothub-errorcode']]).toEqual([413, 'MessageTooLarge']);
  });

  test('a certificate is as good as a token; a policy of the hub, too', async () => {
    const certificate = leafOf('cert-1');
    const primaryThumbprint = createHash('sha256').update(certificate.der).digest('hex');
    await put('cert-1', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint } } });
    const path = '/devices/cert-1/messages/events?api-version=2020-03-13';
    expect((await service.device({ method: 'POST', path, certificate, headers: { host: hubHost }, body: 'x' })).status).toBe(204);
    expect(
      (await service.device({ method: 'POST', path, certificate: leafOf('cert-1'), headers: { host: hubHost }, body: 'x' })).status,
    ).toBe(401);
    const byPolicy = await service.hubService({
      method: 'POST',
      path: '/devices/tele-1/messages/events',
      resource: `${hubHost}/devices/tele-1`,
      body: 'x',
    });
    expect(byPolicy.status).toBe(204);
  });

  test('unknown, disabled and wrongly signed are one and the same 401 from outside, apart in the log', async () => {
    await put('off-1', { status: 'disabled' });
    const refusals = [];
    for (const [id, sas] of [
      ['nobody', token],
      ['off-1', await tokenOf('off-1')],
      ['tele-2', token],
    ] as const) {
      const path = `/devices/${id}/messages/events?api-version=2020-03-13`;
      const refused = await service.device({ method: 'POST', path, token: sas, headers: { host: hubHost }, body: 'x' });
      expect([refused.status, refused.headers['iothub-errorcode']]).toEqual([401, 'IotHubUnauthorized']);
      refusals.push(service.log.named('http.request').at(-1)?.['detail']);
    }
    expect(String(refusals[0])).toContain('DeviceNotFound');
    expect(String(refusals[1])).toContain('DeviceDisabled');
    expect(JSON.stringify(service.log.events)).not.toMatch(/sig=|SharedAccessSignature/u);
  });

  test('nothing is queued for a device, no message is locked, files are not taken yet', async () => {
    const ask204 = await service.device({
      path: '/devices/tele-1/messages/deviceBound?api-version=2020-03-13',
      token,
      headers: { host: hubHost },
    });
    expect([ask204.status, ask204.text]).toEqual([204, '']);
    const lock = await service.device({
      method: 'DELETE',
      path: '/devices/tele-1/messages/devicebound/x?api-version=2020-03-13&reject',
      token,
      headers: { host: hubHost },
    });
    expect(lock.status).toBe(412);
    const files = await service.device({
      method: 'POST',
      path: '/devices/tele-1/files?api-version=2020-03-13',
      token,
      headers: { host: hubHost },
      body: '{}',
    });
    expect([files.status, files.json.Message]).toEqual([501, expect.stringContaining('file uploads')]);
  });
});
