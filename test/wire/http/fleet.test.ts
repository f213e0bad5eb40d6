import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leafOf, openService, root, type TestService } from './service.ts';
import { ask } from './loopback.ts';

let service: TestService;
beforeAll(async () => {
  service = await openService();
  await service.provisioning.enrollmentGroups.put('dps-a', 'plant', {
    body: {
      enrollmentGroupId: 'plant',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
    },
    precondition: { kind: 'absent' },
  });
});
afterAll(() => service.close());

const send = (method: string, path: string, body?: object) =>
  service.muster({ method, path: `/api/v1${path}`, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const leaf = leafOf('sensor-1');
const register = () =>
  service.device({
    method: 'PUT',
    path: `/${service.idScope}/registrations/sensor-1/register?api-version=2021-06-01`,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ registrationId: 'sensor-1' }),
    certificate: leaf,
  });

test('everything is behind the token', async () => {
  for (const [method, path] of [
    ['POST', 'deprovision'],
    ['POST', 'reinstate'],
    ['POST', 'explain'],
    ['GET', 'receipts'],
    ['GET', 'receipts/x'],
    ['GET', 'blocks'],
    ['POST', 'blocks'],
    ['DELETE', 'blocks/x'],
    ['GET', 'runs'],
    ['POST', 'runs'],
    ['GET', 'runs/x/items'],
  ] as const) {
    expect([path, (await ask(service.api.port, { method, path: `/api/v1/${path}` })).status]).toEqual([path, 401]);
  }
});

test.each([
  ['deprovision', {}],
  ['deprovision', { device: 'a' }],
  ['deprovision', { device: 'a', reason: ' ' }],
  ['deprovision', { device: 'a', reason: 'x', by: [] }],
  ['deprovision', { device: 'a', reason: 'x', by: ['colour'] }],
  ['deprovision', { device: 'a', reason: 'x', expiresAt: 'tomorrow' }],
  ['deprovision', { device: 'a', reason: 'x', mode: 'retire', identity: 'keep' }],
  ['deprovision', { device: 'a', reason: 'x', other: 1 }],
  ['deprovision', { device: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', reason: 'x' }],
  ['runs', { reason: 'x' }],
  ['runs', { reason: 'x', devices: [] }],
  ['runs', { reason: 'x', devices: ['a'], group: 'b' }],
  ['runs', { reason: 'x', devices: ['a'], query: "SELECT * FROM enrollments WHERE etag = 'x'" }],
  ['runs', { reason: 'x', query: '*' }],
  ['runs', { reason: 'x', query: 'SELECT * FROM enrollments WHERE' }],
  ['reinstate', { device: 'a', onceUntil: 7 }],
  ['blocks', { reason: 'x' }],
  ['blocks', { reason: 'x', selectors: [{ kind: 'leaf', value: 'short' }] }],
  ['blocks', { reason: 'x', selectors: [{ kind: 'subject', value: 'CN=a' }] }],
  ['explain', { subject: '' }],
  ['explain', { subject: 'a', at: 'yesterday' }],
  ['explain', { subject: 'a', at: '2999-01-01T00:00:00Z' }],
])('%s refuses %j', async (path, body) => {
  expect((await send('POST', `/${path}`, body)).status).toBe(400);
});

describe('one device, over HTTPS', () => {
  test('is let in, shut out with a receipt, and let in again', async () => {
    expect((await register()).status).toBe(202);
    const out = await send('POST', '/deprovision', { device: 'SENSOR-1', reason: 'stolen' });
    const timeToRevoke = { committedAt: out.json.at, sessions: 0, milliseconds: 0, perTransport: [] };
    expect([out.status, out.json.kind, out.json.timeToRevoke]).toEqual([200, 'revoke', timeToRevoke]);
    const refused = await register();
    expect([refused.status, refused.json]).toMatchObject([
      200,
      { operationId: '', status: 'disabled', registrationState: { status: 'disabled', registrationId: 'sensor-1' } },
    ]);
    const { id } = out.json as { readonly id: string };
    expect((await send('GET', `/receipts/${id}`)).json).toEqual(out.json);
    expect((await send('GET', '/receipts?device=sensor-1')).json).toMatchObject([{ id }]);
    expect(JSON.stringify((await send('GET', '/receipts')).json)).not.toMatch(/primaryKey|primaryThumbprint/u);

    const back = await send('POST', '/reinstate', { device: id });
    expect([back.status, back.json.kind]).toEqual([200, 'reinstate']);
    expect((await register()).status).toBe(202);
    expect((await send('POST', '/reinstate', { device: id })).status).toBe(404);
  });

  test('is blocked by itself, listed and lifted', async () => {
    const made = await send('POST', '/blocks', { certificate: leaf.pem, by: ['key'], reason: 'audit', ticket: 'T-1' });
    expect(made.json).toMatchObject({ selectors: [{ kind: 'publicKey', value: leaf.certificate.publicKeySha256 }], ticket: 'T-1' });
    expect((await register()).json.status).toBe('disabled');
    const { id } = made.json as { readonly id: string };
    expect((await send('GET', '/blocks')).json.items).toEqual([made.json]);
    expect((await send('GET', `/blocks/${id}`)).json).toEqual(made.json);
    expect((await send('DELETE', `/blocks/${id}`)).status).toBe(204);
    expect((await send('DELETE', `/blocks/${id}`)).status).toBe(404);
    expect((await register()).status).toBe(202);
  });

  test('a refusal of the hub has a tracking id that explains it', async () => {
    const refused = await service.device({
      method: 'POST',
      path: '/devices/nobody/messages/events?api-version=2021-04-12',
      headers: { host: 'hub-a.azure-devices.localhost' },
      body: 'x',
      certificate: leaf,
    });
    expect(refused.status).toBe(401);
    const { json } = await send('POST', '/explain', { subject: refused.headers['x-ms-request-id'] });
    expect(json).toMatchObject({ kind: 'tracking id', kept: { side: 'hub', id: 'nobody', says: '401, IotHubUnauthorized' } });
  });
});

test('a run of many says how far it is, and which devices could not be put out', async () => {
  const started = await send('POST', '/runs', { devices: ['sensor-1', ' sensor-1 ', 'nobody'], reason: 'recall' });
  expect([started.status, started.json.counts]).toEqual([202, { pending: 2, done: 0, failed: 0 }]);
  const { id } = started.json as { readonly id: string };
  let run = started;
  while (run.json.finishedAt === undefined) run = await send('GET', `/runs/${id}`);
  expect(run.json.counts).toEqual({ pending: 0, done: 1, failed: 1 });
  expect((await send('GET', `/runs/${id}/items`)).json.items).toMatchObject([
    { target: 'sensor-1', state: 'done', receiptId: expect.stringMatching(/^receipt-/u) },
    { target: 'nobody', state: 'failed', message: expect.stringContaining('Nothing is known') },
  ]);
  expect((await send('GET', '/runs')).json).toMatchObject([{ id }]);
  expect((await send('GET', '/runs/none/items')).status).toBe(404);
});
