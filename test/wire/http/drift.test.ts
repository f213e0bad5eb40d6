import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from './loopback.ts';
import { hubHost, leafOf, openService, root, type TestService } from './service.ts';

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

/** Registers over HTTPS, and takes the identity away behind the back of its record. */
async function lose(id: string): Promise<void> {
  const registered = await service.device({
    method: 'PUT',
    path: `/${service.idScope}/registrations/${id}/register?api-version=2021-06-01`,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ registrationId: id }),
    certificate: leafOf(id),
  });
  expect(registered.status).toBe(202);
  const path = `/devices/${id}?api-version=2021-04-12`;
  expect((await service.hubService({ method: 'DELETE', path, headers: { host: hubHost, 'if-match': '*' } })).status).toBe(204);
}

test('drift is listed in pages, mended by an operator, and then gone', async () => {
  for (const id of ['sensor-1', 'sensor-2', 'sensor-3']) await lose(id);
  const first = await send('GET', '/drift?top=2');
  expect(first.json.items.map(({ kind, subject }: any) => [kind, subject.id])).toEqual([
    ['record-without-device', 'sensor-1'],
    ['record-without-device', 'sensor-2'],
  ]);
  const rest = await send('GET', `/drift?top=2&after=${encodeURIComponent(first.json.next)}`);
  expect(rest.json.items.map(({ subject }: any) => subject.id)).toEqual(['sensor-3']);
  expect((await send('GET', '/drift?kind=dead-link')).json.items).toEqual([]);
  const dry = await send('POST', '/drift/mend', { dryRun: true });
  expect(dry.json.items.map(({ outcome }: any) => outcome)).toEqual(['would-mend', 'would-mend', 'would-mend']);
  const mended = await send('POST', '/drift/mend', { top: 2, reason: 'tidy' });
  expect(mended.json.items.map(({ outcome }: any) => outcome)).toEqual(['mended', 'mended']);
  expect((await send('POST', '/drift/mend', { after: mended.json.next })).json.items).toHaveLength(1);
  expect((await send('GET', '/drift')).json).toEqual({ items: [] });
  const trail = await send('GET', '/audit?action=registration.delete');
  expect(trail.json.items.map(({ reason, actor }: any) => [reason, actor.kind])).toEqual([
    ['reconcile', 'operator'],
    ['tidy', 'operator'],
    ['tidy', 'operator'],
  ]);
});

test('whoever may read may list, and not mend', async () => {
  const made = await send('POST', '/tokens', { name: 'reader', role: 'reader' });
  const headers = { authorization: `Bearer ${made.json.token}`, 'content-type': 'application/json' };
  expect((await ask(service.api.port, { method: 'GET', path: '/api/v1/drift', headers })).status).toBe(200);
  expect((await ask(service.api.port, { method: 'POST', path: '/api/v1/drift/mend', headers, body: '{}' })).status).toBe(403);
  expect((await ask(service.api.port, { method: 'GET', path: '/api/v1/drift' })).status).toBe(401);
});

test.each([
  ['GET', '/drift?after=nonsense'],
  ['GET', `/drift?after=${'a'.repeat(1001)}`],
  ['GET', '/drift?kind=colour'],
  ['GET', '/drift?top=0'],
  ['POST', '/drift/mend', { kinds: [] }],
  ['POST', '/drift/mend', { kinds: ['colour'] }],
  ['POST', '/drift/mend', { after: 'nonsense' }],
  ['POST', '/drift/mend', { other: 1 }],
])('%s %s %j is refused', async (method, path, body?: object) => {
  expect((await send(method, path, body)).status).toBe(400);
});
