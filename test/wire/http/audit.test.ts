import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/contracts/audit/audit-entry.ts';
import { createSasToken } from '../../../src/access/sas-token.ts';
import { hashOf } from '../../../src/audit/chain.ts';
import { instant, minutes } from '../../../src/kernel/clock.ts';
import { apiToken, hubHost, leafOf, openService, root, type TestService } from './service.ts';

let service: TestService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.close());

async function entriesSince(sequence: number): Promise<readonly AuditEntry[]> {
  return (await service.audit.list({ order: 'oldest-first', limit: 1000, after: String(sequence) })).items;
}

/** Rounds read the store, which takes some turns. */
async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What a request left in the trail. */
async function changesOf(request: () => Promise<{ readonly status: number; readonly text: string }>): Promise<readonly AuditEntry[]> {
  const { sequence } = await service.audit.head();
  const answer = await request();
  expect(answer.status, answer.text).toBeLessThan(300);
  return await entriesSince(sequence);
}

const json = (body: object): string => JSON.stringify(body);
const group = {
  enrollmentGroupId: 'plant',
  attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
};
const keyed = {
  registrationId: 'keyed',
  attestation: {
    type: 'symmetricKey',
    symmetricKey: { primaryKey: Buffer.alloc(32, 1).toString('base64'), secondaryKey: Buffer.alloc(32, 2).toString('base64') },
  },
};
const dps = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  service.dps({ method, path, headers: { 'user-agent': 'az/2.70', ...headers }, ...(body === undefined ? {} : { body: json(body) }) });
const hub = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
  service.hubService({
    method,
    path,
    headers: { 'user-agent': 'az/2.70', ...headers },
    ...(body === undefined ? {} : { body: json(body) }),
  });
const muster = (method: string, path: string, body?: object) =>
  service.muster({
    method,
    path: `/api/v1${path}`,
    headers: { 'user-agent': 'muster' },
    ...(body === undefined ? {} : { body: json(body) }),
  });
const any = { 'if-match': '*' };

/** Every changing request of the Azure APIs, in an order in which they can be done, and what it is recorded as. */
const azure: readonly (readonly [string, () => ReturnType<typeof dps>, readonly string[]])[] = [
  ['create a group', () => dps('PUT', '/enrollmentGroups/plant', group), ['enrollment-group.create']],
  ['create an enrollment', () => dps('PUT', '/enrollments/keyed', keyed), ['enrollment.create']],
  [
    'disable an enrollment',
    () => dps('PUT', '/enrollments/keyed', { ...keyed, provisioningStatus: 'disabled' }, any),
    ['enrollment.update'],
  ],
  ['update many', () => dps('POST', '/enrollments', { mode: 'update', enrollments: [keyed] }), ['enrollment.update']],
  ['delete an enrollment', () => dps('DELETE', '/enrollments/keyed', undefined, any), ['enrollment.delete']],
  ['create an identity', () => hub('PUT', '/devices/one', { deviceId: 'one' }), ['device.create', 'twin.create']],
  [
    'change an identity',
    () => hub('PUT', '/devices/one', { deviceId: 'one', status: 'disabled', statusReason: 'lost' }, any),
    ['device.update'],
  ],
  ['patch a twin', () => hub('PATCH', '/twins/one', { tags: { floor: 1 } }), ['twin.update']],
  ['replace a twin', () => hub('PUT', '/twins/one', { tags: { floor: 2 }, properties: { desired: { a: 1 } } }, any), ['twin.update']],
  [
    'create a module',
    () => hub('PUT', '/devices/one/modules/camera', { deviceId: 'one', moduleId: 'camera' }),
    ['module.create', 'twin.create'],
  ],
  ['patch the twin of a module', () => hub('PATCH', '/twins/one/modules/camera', { tags: { floor: 1 } }), ['twin.update']],
  ['delete a module', () => hub('DELETE', '/devices/one/modules/camera', undefined, any), ['module.delete']],
  ['empty a queue', () => hub('DELETE', '/devices/one/commands'), ['device-queue.purge']],
  ['create many', () => hub('POST', '/devices', [{ id: 'two', importMode: 'create' }] as never), ['device.create', 'twin.create']],
  ['delete an identity', () => hub('DELETE', '/devices/one', undefined, any), ['device.delete']],
  ...['camera', 'radio'].map(
    (moduleId) =>
      [
        `create the module ${moduleId}`,
        () => hub('PUT', `/devices/two/modules/${moduleId}`, { deviceId: 'two', moduleId }),
        ['module.create', 'twin.create'],
      ] as const,
  ),
  [
    'delete an identity with its modules',
    () => hub('DELETE', '/devices/two', undefined, any),
    ['device.delete', 'module.delete', 'module.delete'],
  ],
];

describe('every change over the Azure APIs', () => {
  test.each(azure)('%s', async (_what, request, actions) => {
    const entries = await changesOf(request);
    expect(entries.map(({ action }) => action)).toEqual(actions);
    for (const { actor } of entries) {
      expect(actor).toMatchObject({ kind: 'policy', origin: { transport: 'https', address: '127.0.0.1', userAgent: 'az/2.70' } });
      expect(['provisioningserviceowner', 'iothubowner']).toContain(actor.name);
    }
  });

  test('says why, where the client says so', async () => {
    const headers = { 'x-muster-reason': encodeURIComponent('Gerät gestohlen'), 'x-muster-ticket': 'OPS-7' };
    const [entry] = await changesOf(() => hub('PUT', '/devices/three', { deviceId: 'three' }, headers));
    expect(entry).toMatchObject({ reason: 'Gerät gestohlen', ticket: 'OPS-7' });
  });

  test('names each module that goes with its device, without its keys', async () => {
    const filter = { action: 'module.delete', scope: 'hub-a' };
    const { items } = await service.audit.list({ order: 'newest-first', limit: 2, filter });
    expect(items.map(({ resource }) => resource)).toEqual([
      { kind: 'module', id: 'two/radio', scope: 'hub-a' },
      { kind: 'module', id: 'two/camera', scope: 'hub-a' },
    ]);
    for (const { before, after } of items) {
      expect(after).toBeUndefined();
      expect(before).toMatchObject({ authentication: { primaryKey: expect.stringMatching(/^hmac:/u) as string } });
    }
  });

  test('that is refused leaves nothing', async () => {
    const { sequence } = await service.audit.head();
    expect((await hub('PUT', '/devices/three', { deviceId: 'three' })).status).toBe(409);
    expect((await hub('PUT', '/devices/four', { deviceId: 'other' })).status).toBe(400);
    expect(await entriesSince(sequence)).toEqual([]);
  });
});

describe('whoever does not get in', () => {
  const refusals = async () =>
    (await service.audit.list({ order: 'newest-first', limit: 100, filter: { action: 'sign-in.refused' } })).items;
  const forged = (resource: string): Record<string, string> => ({
    authorization: createSasToken({
      resource,
      keyName: 'iothubowner',
      base64Key: Buffer.alloc(32, 9).toString('base64'),
      expiresAt: instant(service.clock.now() + minutes(5)),
    }),
  });

  test.each<[string, string, string, () => ReturnType<typeof dps>]>([
    ['the hub', 'hub-service', 'hub-a', () => hub('GET', '/devices/one', undefined, forged(hubHost))],
    ['the provisioning service', 'dps-service', 'dps-a', () => dps('GET', '/enrollments/one', undefined, forged('localhost'))],
  ])('with a token that is not good, to %s, is told of once in a window', async (_what, id, scope, request) => {
    const before = (await refusals()).length;
    for (let at = 0; at < 3; at += 1) expect((await request()).status).toBe(401);
    const after = await refusals();
    expect(after).toHaveLength(before + 1);
    expect(after[0]).toMatchObject({
      resource: { kind: 'sign-in', id, scope },
      actor: { kind: 'stranger', name: '127.0.0.1', origin: { transport: 'https', address: '127.0.0.1' } },
      after: { reason: id === 'hub-service' ? 'signature' : 'policy' },
    });
    service.clock.advance(minutes(15));
    expect((await request()).status).toBe(401);
    expect(await refusals()).toHaveLength(before + 2);
  });

  test('but not without a token, nor for want of a right', async () => {
    service.clock.advance(minutes(15));
    const before = (await refusals()).length;
    expect((await hub('GET', '/devices/one', undefined, { authorization: '' })).status).toBe(401);
    expect((await dps('GET', '/enrollments/one', undefined, { authorization: '' })).status).toBe(401);
    expect((await service.hubService({ path: '/devices/one', keyName: 'service' })).status).toBe(403);
    expect(await refusals()).toHaveLength(before);
  });
});

const own: readonly (readonly [string, () => ReturnType<typeof muster>, readonly string[]])[] = [
  ['create a service', () => muster('POST', '/dps', { name: 'dps-b', hostName: 'b.localhost' }), ['dps.create', 'dps-policy.create']],
  ['change a service', () => muster('PATCH', '/dps/dps-b', { allocationPolicy: 'static' }), ['dps.update']],
  ['link a hub', () => muster('PUT', `/dps/dps-b/linked-hubs/${hubHost}`, {}), ['linked-hub.create']],
  ['unlink a hub', () => muster('DELETE', `/dps/dps-b/linked-hubs/${hubHost}`), ['linked-hub.delete']],
  ['create a policy', () => muster('POST', '/dps/dps-b/policies', { keyName: 'p', rights: 'EnrollmentRead' }), ['dps-policy.create']],
  ['change a policy', () => muster('PATCH', '/dps/dps-b/policies/p', { rights: 'EnrollmentWrite' }), ['dps-policy.update']],
  ['renew a key', () => muster('POST', '/dps/dps-b/policies/p/renew-key', { key: 'primary' }), ['dps-policy.update']],
  ['delete a policy', () => muster('DELETE', '/dps/dps-b/policies/p'), ['dps-policy.delete']],
  ['upload a CA', () => muster('PUT', '/dps/dps-b/certificates/ca', { certificate: root.pem }), ['ca-certificate.create']],
  ['make a code', () => muster('POST', '/dps/dps-b/certificates/ca/generate-verification-code'), ['ca-certificate.update']],
  ['delete a CA', () => muster('DELETE', '/dps/dps-b/certificates/ca'), ['ca-certificate.delete']],
  [
    'create a hub',
    () => muster('POST', '/hubs', { name: 'hub-b', hostName: 'hub-b.localhost' }),
    ['hub.create', ...Array.from({ length: 5 }, () => 'hub-policy.create')],
  ],
  ['write a block', () => muster('POST', '/blocks', { selectors: [{ kind: 'deviceId', value: 'x' }], reason: 'lost' }), ['block.create']],
  [
    'deprovision',
    () => muster('POST', '/deprovision', { device: 'three', reason: 'stolen', ticket: 'OPS-9' }),
    ['block.create', 'device.delete', 'receipt.create'],
  ],
  [
    'reinstate',
    () => muster('POST', '/reinstate', { device: 'three', reason: 'found' }),
    ['block.delete', 'device.create', 'twin.create', 'receipt.update', 'receipt.create'],
  ],
  ['make a token', () => muster('POST', '/tokens', { name: 'Ada', role: 'reader' }), ['operator-token.create']],
  ['revoke a token', () => muster('DELETE', '/tokens/Ada'), ['operator-token.update']],
];

describe("every change over Muster's own API", () => {
  test.each(own)('%s', async (_what, request, actions) => {
    const entries = await changesOf(request);
    expect(entries.map(({ action }) => action).toSorted()).toEqual(actions.toSorted());
    const actor = {
      kind: 'operator',
      name: 'owner of the data folder',
      origin: { transport: 'https', address: '127.0.0.1', userAgent: 'muster' },
    };
    for (const entry of entries) expect(entry.actor).toEqual(actor);
  });

  test('carries the reason and ticket of what was asked', async () => {
    const { items } = await service.audit.list({
      order: 'newest-first',
      limit: 10,
      filter: { action: 'device.delete', resource: 'three' },
    });
    expect(items[0]).toMatchObject({ reason: 'stolen', ticket: 'OPS-9', resource: { scope: 'hub-a' } });
  });

  test('is in the name of the operator whose token it was', async () => {
    const made = await muster('POST', '/tokens', { name: 'Grace', role: 'operator' });
    const headers = { authorization: `Bearer ${made.json.token}` };
    const body = json({ selectors: [{ kind: 'deviceId', value: 'y' }], reason: 'lost' });
    const [entry] = await changesOf(() => service.muster({ method: 'POST', path: '/api/v1/blocks', headers, body }));
    expect(entry?.actor).toMatchObject({ kind: 'operator', name: 'Grace' });
  });
});

describe('a device', () => {
  const leaf = leafOf('sensor-1');
  const register = () =>
    service.device({
      method: 'PUT',
      path: `/${service.idScope}/registrations/sensor-1/register?api-version=2021-06-01`,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: json({ registrationId: 'sensor-1' }),
      certificate: leaf,
    });

  test('that registers is the one who changes its identity, twin and record; again, it changes nothing', async () => {
    const entries = await changesOf(register);
    expect(entries.map(({ action }) => action).toSorted()).toEqual(['device.create', 'registration.create', 'twin.create']);
    for (const { actor } of entries) {
      expect(actor).toEqual({ kind: 'device', name: 'sensor-1', origin: { transport: 'https', address: '127.0.0.1' } });
    }
    expect(await changesOf(register)).toEqual([]);
  });

  test('that reports, sends and is refused changes nothing', async () => {
    const { sequence } = await service.audit.head();
    const sent = await service.device({
      method: 'POST',
      path: '/devices/sensor-1/messages/events?api-version=2021-04-12',
      headers: { host: hubHost },
      body: 'hello',
      certificate: leaf,
    });
    expect(sent.status).toBe(204);
    expect(await entriesSince(sequence)).toEqual([]);
  });
});

test('a block that ends is told of, by the service itself', async () => {
  const expiresAt = new Date(service.clock.now() + minutes(2)).toISOString();
  await muster('POST', '/blocks', { selectors: [{ kind: 'deviceId', value: 'z' }], reason: 'for a while', expiresAt });
  const { sequence } = await service.audit.head();
  service.clock.advance(minutes(3));
  await nextTurns();
  // The round that began within that time looked at its beginning; the next one is a minute later.
  service.clock.advance(minutes(1));
  await expect
    .poll(() => entriesSince(sequence))
    .toMatchObject([{ action: 'block.update', actor: { kind: 'system' }, before: { state: 'in-force' }, after: { state: 'ended' } }]);
  service.clock.advance(minutes(3));
  await nextTurns();
  expect(await entriesSince(sequence)).toHaveLength(1);
});

describe('the trail', () => {
  const get = (path: string) => service.muster({ path: `/api/v1/audit${path}` });

  test('is listed, filtered and shown', async () => {
    const listed = await get('?top=2&action=device.create');
    expect(listed.json.items).toHaveLength(2);
    expect(listed.json.next).toBe(String(listed.json.items[1].sequence));
    const more = await get(`?top=1000&action=device.create&after=${listed.json.next}`);
    expect(more.json.items.every(({ sequence }: AuditEntry) => sequence < Number(listed.json.next))).toBe(true);
    const [first] = (await get('?order=oldest-first&top=1')).json.items;
    expect((await get(`/${first.sequence}`)).json).toEqual(first);
    expect((await get('/999999')).status).toBe(404);
    const since = new Date(service.clock.now() + minutes(1)).toISOString();
    expect((await get(`?since=${encodeURIComponent(since)}`)).json.items).toEqual([]);
    expect((await get('?resource=SENSOR-1&actor=sensor-1&kind=device&scope=HUB-A')).json.items).toHaveLength(1);
  });

  test.each(['?top=0', '?after=x', '?order=random', '?since=yesterday', '/x', '/verify?head=12', `?actor=${'a'.repeat(201)}`])(
    '%s is refused',
    async (path) => {
      expect((await get(path)).status).toBe(400);
    },
  );

  test('can be checked by the service, and from an export by anybody', async () => {
    const head = (await get('/head')).json;
    expect((await get('/verify')).json).toMatchObject({ ok: true, sealed: true, head });
    expect((await get(`/verify?head=${head.hash}`)).json).toMatchObject({ ok: true });
    expect((await get(`/verify?head=${'0'.repeat(63)}1`)).json).toMatchObject({ ok: false, reason: 'exported-head' });
    const exported = (await get('?order=oldest-first&top=1000')).json.items as AuditEntry[];
    expect(exported).toHaveLength(head.sequence);
    let previous = '0'.repeat(64);
    for (const { hash, ...content } of exported) {
      expect(content.previousHash).toBe(previous);
      expect(hashOf(content)).toBe(hash);
      previous = hash;
    }
  });

  test('has no secret of anything in it', async () => {
    const everything = JSON.stringify((await get('?order=oldest-first&top=1000')).json);
    const policies = [...(await service.provisioning.policies.list('dps-a')), ...(await service.hub.hubs.policies('hub-a'))];
    const devices = (await service.hub.registry.list('hub-a', { limit: 100 })).items;
    const keys = [
      ...policies.flatMap(({ primaryKey, secondaryKey }) => [primaryKey, secondaryKey]),
      ...devices.flatMap(({ authentication }) => [authentication.symmetricKey.primaryKey, authentication.symmetricKey.secondaryKey]),
      keyed.attestation.symmetricKey.primaryKey,
      apiToken,
    ].filter((key): key is string => typeof key === 'string');
    expect(keys.length).toBeGreaterThan(10);
    for (const key of keys) expect(everything).not.toContain(key);
    expect(everything).toContain('hmac:');
  });

  test('is pruned by an admin, which it tells itself', async () => {
    const before = new Date(instant(service.clock.now() - minutes(5))).toISOString();
    const pruned = await service.muster({ method: 'POST', path: '/api/v1/audit/prune', body: json({ before }) });
    expect(pruned.json.removed).toBeGreaterThan(10);
    expect((await get('/verify')).json).toMatchObject({ ok: true, prunedThrough: { sequence: pruned.json.removed } });
    expect((await get('?top=1')).json.items).toMatchObject([{ action: 'audit-trail.prune', actor: { name: 'owner of the data folder' } }]);
  });
});
