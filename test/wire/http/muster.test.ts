import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus } from '../../../src/kernel/clock.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { ask, rawPeer } from './loopback.ts';
import { apiToken, hubHost, openService, root, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => (service = await openService()));
afterAll(() => service.close());

const send = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  service.muster({ method, path: `/api/v1${path}`, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });

describe('the door', () => {
  test('health needs no token, everything else does', async () => {
    const health = await ask(service.api.port, { path: '/api/v1/health' });
    expect([health.status, health.json]).toEqual([200, { status: 'ok' }]);
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Basic ${apiToken}`, `Bearer ${apiToken}x`, apiToken]) {
      const refused = await ask(service.api.port, { path: '/api/v1/dps', headers: { authorization } });
      expect(refused.status).toBe(401);
      expect(refused.headers['www-authenticate']).toBe('Bearer');
      expect(refused.json).toEqual({
        error: { code: 'Unauthorized', message: expect.any(String), trackingId: refused.headers['x-ms-request-id'] },
      });
    }
    expect(JSON.stringify(service.log.events)).not.toContain(apiToken);
  });

  test('the device and service APIs are not behind it, nor WebSockets', async () => {
    expect((await service.muster({ path: '/devices?api-version=2021-04-12' })).status).toBe(404);
    const peer = await rawPeer(
      service.api.port,
      'GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
    );
    expect(await peer.ended()).toMatch(/^HTTP\/1.1 400 /u);
  });
});

describe('resources', () => {
  test('are listed, shown and told with their policies', async () => {
    expect((await send('GET', '/dps')).json).toMatchObject([{ name: 'dps-a', hostName: 'localhost', iotHubs: [{ hostName: hubHost }] }]);
    expect((await send('GET', '/dps/dps-a')).json.idScope).toBe(service.idScope);
    expect((await send('GET', '/dps/dps-a/policies')).json).toMatchObject([{ keyName: 'provisioningserviceowner' }]);
    expect((await send('GET', '/hubs')).json).toEqual([{ name: 'hub-a', hostName: hubHost }]);
    expect(((await send('GET', '/hubs/hub-a/policies')).json as { keyName: string }[]).map(({ keyName }) => keyName)).toContain(
      'iothubowner',
    );
    const missing = await send('GET', '/hubs/none');
    expect([missing.status, missing.json.error.code]).toEqual([404, 'ResourceNotFound']);
    expect((await send('GET', '/dps/none/policies')).status).toBe(404);
  });

  test('are changed under their entity tag', async () => {
    const { etag } = (await send('GET', '/dps/dps-a')).json as { etag: string };
    const rule = { filterName: 'office', action: 'accept', ipMask: '192.0.2.0/24', target: 'SERVICEAPI' };
    const changed = await send('PATCH', '/dps/dps-a', { ipFilterRules: [rule] }, { 'if-match': etag });
    expect([changed.status, changed.json.ipFilterRules]).toEqual([200, [{ ...rule, action: 'Accept', target: 'serviceApi' }]]);
    expect(changed.json.etag).not.toBe(etag);
    expect((await send('PATCH', '/dps/dps-a', { allocationPolicy: 'static' }, { 'if-match': etag })).status).toBe(412);
    expect((await send('PUT', `/dps/dps-a/linked-hubs/${hubHost}`, {}, { 'if-match': etag })).status).toBe(412);
    expect((await send('PATCH', '/dps/dps-a', { ipFilterRules: [] })).json.ipFilterRules).toEqual([]);
    for (const body of [
      { ipFilterRules: [{ ...rule, ipMask: '300.0.0.1' }] },
      { ipFilterRules: [{ ...rule, action: 'Drop' }] },
      { ipFilterRules: [{ ...rule, more: 1 }] },
      { allocationPolicy: 'custom' },
      { name: 'other' },
    ]) {
      expect((await send('PATCH', '/dps/dps-a', body)).status).toBe(400);
    }
  });

  test('policies are made, changed, renewed and deleted, and whoever keeps the keys is told each time', async () => {
    const before = service.rekeyed();
    const made = await send('POST', '/dps/dps-a/policies', { keyName: 'reader', rights: 'EnrollmentRead, RegistrationStatusRead' });
    expect([made.status, made.json.rights]).toEqual([200, ['EnrollmentRead', 'RegistrationStatusRead']]);
    const path = '/enrollments/none';
    expect((await service.dps({ path, keyName: 'reader' })).status).toBe(404);
    const asOld = {
      authorization: createSasToken({
        resource: 'localhost',
        base64Key: made.json.primaryKey as string,
        keyName: 'reader',
        expiresAt: plus(service.clock.now(), hours(1)),
      }),
    };
    expect((await service.dps({ path, headers: asOld })).status).toBe(404);
    const renewed = await send('POST', '/dps/dps-a/policies/reader/renew-key', { key: 'primary' });
    expect(renewed.json.secondaryKey).toBe(made.json.secondaryKey);
    expect((await service.dps({ path, headers: asOld })).status).toBe(401);
    expect((await service.dps({ path, keyName: 'reader' })).status).toBe(404);
    expect((await send('PATCH', '/dps/dps-a/policies/reader', { rights: ['EnrollmentWrite'], secondaryKey: null })).json).toEqual({
      ...renewed.json,
      rights: ['EnrollmentWrite'],
    });
    expect((await service.dps({ path, keyName: 'reader' })).status).toBe(403);
    expect((await send('GET', '/dps/dps-a/policies/READER')).json.keyName).toBe('reader');
    expect((await send('POST', '/dps/dps-a/policies', { keyName: 'reader', rights: ['EnrollmentRead'] })).status).toBe(409);
    expect((await send('DELETE', '/dps/dps-a/policies/reader')).status).toBe(204);
    expect(service.rekeyed()).toBe(before + 4);
    expect((await send('GET', '/dps/dps-a/policies/reader')).status).toBe(404);
    expect((await send('DELETE', '/dps/dps-a/policies/provisioningserviceowner')).status).toBe(400);
    expect(JSON.stringify(service.log.events)).not.toContain(made.json.primaryKey);
  });

  test('are created with a host name of their own or the default, and the certificate follows', async () => {
    const before = service.renamed();
    expect((await send('POST', '/hubs', { name: 'hub-b' })).json).toEqual({ name: 'hub-b', hostName: 'hub-b.hub.localhost' });
    expect((await send('POST', '/hubs', { name: 'hub-c', hostName: 'c.example' })).json.hostName).toBe('c.example');
    expect((await send('POST', '/dps', { name: 'dps-b' })).json).toMatchObject({ name: 'dps-b', hostName: 'dps-b.dps.localhost' });
    expect(service.renamed()).toBe(before + 3);
    for (const body of [{}, { name: 7 }, { name: '' }, { name: 'x', other: 1 }, { name: '-' }]) {
      expect((await send('POST', '/hubs', body)).status).toBe(400);
    }
    expect((await send('POST', '/hubs', { name: 'hub-b', hostName: 'd.example' })).status).toBe(409);
    expect(service.renamed()).toBe(before + 3);
  });

  test('linked hubs come and go', async () => {
    const linked = await send('PUT', '/dps/dps-a/linked-hubs/hub-b.hub.localhost', { allocationWeight: 5 });
    expect(linked.status).toBe(200);
    expect(linked.json.iotHubs).toContainEqual({
      hostName: 'hub-b.hub.localhost',
      location: 'local',
      applyAllocationPolicy: true,
      allocationWeight: 5,
    });
    expect((await send('PUT', '/dps/dps-a/linked-hubs/hub-b.hub.localhost', { allocationWeight: 0 })).status).toBe(400);
    expect((await send('DELETE', '/dps/dps-a/linked-hubs/hub-b.hub.localhost')).json.iotHubs).toHaveLength(1);
    expect((await send('DELETE', '/dps/dps-a/linked-hubs/hub-b.hub.localhost')).status).toBe(404);
  });
});

test('a CA certificate is uploaded, proven and deleted, each under its ETag', async () => {
  const path = '/dps/dps-a/certificates/root';
  const created = await send('PUT', path, { certificate: root.pem });
  expect([created.status, created.json.properties.isVerified]).toEqual([200, false]);
  expect((await send('GET', '/dps/dps-a/certificates')).json).toHaveLength(1);
  expect((await send('POST', `${path}/generate-verification-code`, undefined, { 'if-match': '"stale"' })).status).toBe(412);

  const coded = await send('POST', `${path}/generate-verification-code`, undefined, { 'if-match': created.json.etag });
  const code = coded.json.properties.verificationCode as string;
  const wrong = make({ subject: 'not the code', key: ecKey(), issuer: root });
  expect((await send('POST', `${path}/verify`, { certificate: wrong.pem }, { 'if-match': coded.json.etag })).status).toBe(400);
  const proof = make({ subject: code, key: ecKey(), issuer: root });
  const verified = await send('POST', `${path}/verify`, { certificate: proof.pem }, { 'if-match': coded.json.etag });
  expect([verified.status, verified.json.properties.isVerified]).toEqual([200, true]);

  expect((await send('GET', path)).json.etag).toBe(verified.json.etag);
  expect((await send('PUT', path, { certificate: 'no certificate' }, { 'if-match': verified.json.etag })).status).toBe(400);
  expect((await send('DELETE', path, undefined, { 'if-match': created.json.etag })).status).toBe(412);
  const deleted = await send('DELETE', path, undefined, { 'if-match': verified.json.etag });
  expect([deleted.status, deleted.text]).toEqual([204, '']);
  expect((await send('GET', path)).status).toBe(404);
});

test('a CA certificate that a disabled group refers to is deleted by force only', async () => {
  const path = '/dps/dps-a/certificates/root';
  expect((await send('PUT', path, { certificate: root.pem, isVerified: true })).status).toBe(200);
  const body = {
    enrollmentGroupId: 'deny',
    attestation: { type: 'x509', x509: { caReferences: { primary: 'root' } } },
    provisioningStatus: 'disabled',
  };
  await service.provisioning.enrollmentGroups.put('dps-a', 'deny', { body, precondition: { kind: 'absent' } });
  const refused = await send('DELETE', path, undefined, { 'if-match': '*' });
  expect([refused.status, refused.json.error.code]).toEqual([409, 'ResourceInUse']);
  expect(refused.json.error.message).toContain("'deny'");
  expect((await send('DELETE', `${path}?force=true`, undefined, { 'if-match': '*' })).status).toBe(204);
});

test('an unknown tracking id is 404', async () => {
  expect((await send('GET', '/decisions/00000000-0000-0000-0000-000000000000')).json.error.code).toBe('ResourceNotFound');
});

describe('events', () => {
  const head = (query: string, more = ''): string =>
    `GET /api/v1/hubs/hub-a/events${query} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${apiToken}\r\n${more}\r\n`;
  const eventsOf = (text: string): any[] =>
    [...text.matchAll(/^data: (.*)$/gmu)].map(([, data]) => JSON.parse(data ?? '')).filter(({ source }) => source === 'Telemetry');

  const tell = async (deviceId: string, text: string): Promise<void> => {
    const sent = await service.hubService({
      method: 'POST',
      path: `/devices/${deviceId}/messages/events`,
      headers: { 'iothub-messageid': text, 'iothub-app-kind': 'test' },
      body: text,
    });
    expect(sent.status).toBe(204);
  };

  beforeAll(async () => {
    for (const deviceId of ['ev-1', 'ev-2']) {
      await service.hubService({ method: 'PUT', path: `/devices/${deviceId}`, body: JSON.stringify({ deviceId }) });
    }
  });

  test('stored ones after a number, then live ones, of one device', async () => {
    await tell('ev-1', 'first');
    await tell('ev-2', 'other');
    const peer = await rawPeer(service.api.port, head('?after=0&deviceId=ev-1'));
    await peer.until((text) => text.includes('"message-id":"first"'));
    await tell('ev-2', 'other');
    await tell('ev-1', 'second');
    const text = await peer.until((soFar) => soFar.includes('"message-id":"second"'));
    const events = eventsOf(text);
    expect(events).toEqual([
      {
        sequenceNumber: expect.any(Number),
        deviceId: 'ev-1',
        enqueuedAt: expect.stringMatching(/^2026-06-15T12:\d\d:\d\d\.\d{3}Z$/u),
        source: 'Telemetry',
        systemProperties: expect.objectContaining({ 'message-id': 'first' }),
        applicationProperties: { kind: 'test' },
        body: Buffer.from('first').toString('base64'),
      },
      expect.objectContaining({ body: Buffer.from('second').toString('base64') }),
    ]);
    expect(text).toContain(`id: ${events[1].sequenceNumber}\n`);
    peer.socket.destroy();

    const resumed = await rawPeer(service.api.port, head('', `Last-Event-ID: ${events[0].sequenceNumber}\r\n`));
    const rest = eventsOf(await resumed.until((soFar) => soFar.includes('"message-id":"second"')));
    expect(rest.map(({ body }) => Buffer.from(body, 'base64').toString())).toEqual(['other', 'other', 'second']);
    resumed.socket.destroy();
  });

  test('an unknown hub is 404 and a bad number 400, before any stream', async () => {
    expect((await send('GET', '/hubs/none/events')).status).toBe(404);
    expect((await send('GET', '/hubs/hub-a/events?after=soon')).status).toBe(400);
  });
});
