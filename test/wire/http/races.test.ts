import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import type { Answer } from './loopback.ts';
import { hubHost, leafOf, openService, root, type TestService } from './service.ts';

// Two operators have read the same thing, and change it at once over connections of their own: one wins, the other gets 412.

let service: TestService;
beforeAll(async () => {
  service = await openService();
  await service.dps({ method: 'PUT', path: '/enrollments/one', body: text(individual) });
  await service.dps({ method: 'PUT', path: '/enrollmentGroups/all', body: text(group) });
  await muster('PUT', '/certificates/root', { certificate: root.pem });
  await muster('POST', '/policies', { keyName: 'reader', rights: ['EnrollmentRead'] });
});
afterAll(() => service.close());

const text = (body: object): string => JSON.stringify(body);
const individual = { registrationId: 'one', attestation: { type: 'symmetricKey' } };
const group = {
  enrollmentGroupId: 'all',
  attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.pem } } } },
};

type Headers = Readonly<Record<string, string>>;
const muster = (method: string, path: string, body?: object, headers: Headers = {}): Promise<Answer> =>
  service.muster({ method, path: `/api/v1/dps/dps-a${path}`, headers, ...(body === undefined ? {} : { body: text(body) }) });
const tagOf = (read: () => Promise<Answer>) => async (): Promise<string> => (await read()).json.etag as string;

const instanceTag = tagOf(() => muster('GET', ''));
const certificateTag = tagOf(() => muster('GET', '/certificates/root'));

interface Kind {
  readonly name: string;
  /** The entity tag that both have read. */
  readonly tag: () => Promise<string>;
  readonly change: (headers: Headers) => Promise<Answer>;
}

const kinds: readonly Kind[] = [
  {
    name: 'individual enrollment',
    tag: tagOf(() => service.dps({ path: '/enrollments/one' })),
    change: (headers) => service.dps({ method: 'PUT', path: '/enrollments/one', body: text(individual), headers }),
  },
  {
    name: 'enrollment group',
    tag: tagOf(() => service.dps({ path: '/enrollmentGroups/all' })),
    change: (headers) => service.dps({ method: 'PUT', path: '/enrollmentGroups/all', body: text(group), headers }),
  },
  {
    name: 'CA certificate',
    tag: certificateTag,
    change: (headers) => muster('PUT', '/certificates/root', { certificate: root.pem }, headers),
  },
  {
    name: 'verification code',
    tag: certificateTag,
    change: (headers) => muster('POST', '/certificates/root/generate-verification-code', undefined, headers),
  },
  {
    name: 'IP filter',
    tag: instanceTag,
    change: (headers) =>
      muster('PATCH', '', { ipFilterRules: [{ filterName: 'a', action: 'Accept', ipMask: '127.0.0.0/8', target: 'all' }] }, headers),
  },
  { name: 'allocation policy', tag: instanceTag, change: (headers) => muster('PATCH', '', { allocationPolicy: 'hashed' }, headers) },
  {
    name: 'linked hub',
    tag: instanceTag,
    change: (headers) => muster('PUT', `/linked-hubs/${hubHost}`, { allocationWeight: 5 }, headers),
  },
  {
    name: 'rights of a policy',
    tag: instanceTag,
    change: (headers) => muster('PATCH', '/policies/reader', { rights: ['EnrollmentRead', 'EnrollmentWrite'] }, headers),
  },
  {
    name: 'key of a policy',
    tag: instanceTag,
    change: (headers) => muster('POST', '/policies/reader/renew-key', { key: 'secondary' }, headers),
  },
];

const statuses = async (...works: readonly Promise<Answer>[]): Promise<readonly number[]> =>
  (await Promise.all(works)).map(({ status }) => status).toSorted((a, b) => a - b);

test.each(kinds)('two change one $name: one wins', async ({ tag, change }) => {
  const headers = { 'if-match': await tag() };
  expect(await statuses(change(headers), change(headers))).toEqual([200, 412]);
  // Whoever reads it again may go on.
  expect((await change({ 'if-match': await tag() })).status).toBe(200);
});

test('two verify one CA certificate: one wins', async () => {
  const code = (await muster('POST', '/certificates/root/generate-verification-code')).json.properties.verificationCode as string;
  const proof = { certificate: make({ subject: code, key: ecKey(), issuer: root }).pem };
  const headers = { 'if-match': await certificateTag() };
  const verify = (): Promise<Answer> => muster('POST', '/certificates/root/verify', proof, headers);
  expect(await statuses(verify(), verify())).toEqual([200, 412]);
});

describe('one changes and one deletes', () => {
  const deletable: readonly (readonly [string, Kind | undefined, (headers: Headers) => Promise<Answer>])[] = [
    ['individual enrollment', kinds[0], (headers) => service.dps({ method: 'DELETE', path: '/enrollments/one', headers })],
    ['enrollment group', kinds[1], (headers) => service.dps({ method: 'DELETE', path: '/enrollmentGroups/all', headers })],
    ['CA certificate', kinds[2], (headers) => muster('DELETE', '/certificates/root', undefined, headers)],
    ['linked hub', kinds[6], (headers) => muster('DELETE', `/linked-hubs/${hubHost}`, undefined, headers)],
    ['policy', kinds[7], (headers) => muster('DELETE', '/policies/reader', undefined, headers)],
  ];
  test.each(deletable)('a %s: nothing is done to what was changed in between', async (_, kind, remove) => {
    const { tag, change } = kind ?? expect.fail('there is no such kind');
    const headers = { 'if-match': await tag() };
    const [changed, removed] = (await Promise.all([change(headers), remove(headers)])).map(({ status }) => status);
    expect([changed, removed].filter((status) => status === 200 || status === 204)).toHaveLength(1);
    // A deletion that comes second finds another state, a change finds nothing, or, where the tag is the service's, another one.
    if (changed === 200) expect(removed).toBe(412);
    else expect([404, 412]).toContain(changed);
    if (changed === 200) expect((await remove({ 'if-match': await tag() })).status).toBeLessThan(300);
  });
});

test('a registration record: a device that came again is not deleted by whoever read it before', async () => {
  await service.dps({ method: 'PUT', path: '/enrollmentGroups/all', body: text(group), headers: { 'if-match': '*' } });
  await muster('PUT', `/linked-hubs/${hubHost}`, {});
  const register = (): Promise<Answer> =>
    service.device({
      method: 'PUT',
      path: `/${service.idScope}/registrations/dev-1/register?api-version=2021-06-01`,
      certificate: leafOf('dev-1'),
    });
  expect((await register()).status).toBe(202);
  const headers = { 'if-match': (await service.dps({ path: '/registrations/dev-1' })).json.etag as string };
  expect((await register()).status).toBe(202);
  const remove = (): Promise<Answer> => service.dps({ method: 'DELETE', path: '/registrations/dev-1', headers });
  expect(await statuses(remove(), remove())).toEqual([412, 412]);
  headers['if-match'] = (await service.dps({ path: '/registrations/dev-1' })).json.etag as string;
  // Of two that delete one record, the second finds none.
  expect(await statuses(remove(), remove())).toEqual([204, 404]);
});
