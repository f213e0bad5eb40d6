import { afterEach, beforeEach, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus } from '../../../src/kernel/clock.ts';
import { absent, openProvisioningWorld, type ProvisioningWorld, refusalOf } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => void (world = await openProvisioningWorld()));
afterEach(() => world.close());

const policies = () => world.provisioning.policies;
const create = (keyName: string, rights: readonly string[] = ['EnrollmentRead'], more: object = {}) =>
  policies().create('dps', keyName, { rights, ...more, precondition: absent });
const update = (keyName: string, change: object) => policies().update('dps', keyName, { ...change, precondition: absent });
const renew = (keyName: string, key: 'primary' | 'secondary' | 'swap') =>
  policies().renewKey('dps', keyName, { key, precondition: absent });

const use = (keyName: string, base64Key: string): Promise<string> =>
  world.provisioning.authorize({
    instance: 'dps',
    authorization: createSasToken({ resource: 'dps.example.org', base64Key, keyName, expiresAt: plus(world.clock.now(), hours(1)) }),
    host: 'dps.example.org',
    path: '/enrollments/x',
    remoteAddress: '192.0.2.1',
    right: 'EnrollmentRead',
  });
const outcome = async (keyName: string, key: string): Promise<string> => {
  try {
    await use(keyName, key);
    return 'in';
  } catch (error) {
    return (error as { error: string }).error;
  }
};

test('a policy comes with two keys of its own, is listed after the owner’s, and found in any case', async () => {
  const made = await create('a-reader', ['registrationstatusread', 'EnrollmentRead']);
  expect(made).toEqual({
    keyName: 'a-reader',
    primaryKey: expect.any(String),
    secondaryKey: expect.any(String),
    rights: ['EnrollmentRead', 'RegistrationStatusRead'],
  });
  expect([made.primaryKey, made.secondaryKey].map((key) => Buffer.from(key, 'base64').length)).toEqual([32, 32]);
  expect(made.primaryKey).not.toBe(made.secondaryKey);
  expect((await policies().list('dps')).map(({ keyName }) => keyName)).toEqual(['provisioningserviceowner', 'a-reader']);
  expect(await policies().get('DPS', 'A-Reader')).toEqual(made);
  expect((await refusalOf(create('A-READER'))).error).toBe('ResourceExists');
});

test('a key that is renewed is refused from the next request on, the other one is not; swapped keys are both good', async () => {
  const { primaryKey, secondaryKey } = await create('reader');
  expect([await outcome('reader', primaryKey), await outcome('reader', secondaryKey)]).toEqual(['in', 'in']);
  const renewed = await renew('READER', 'primary');
  expect(renewed.secondaryKey).toBe(secondaryKey);
  expect([await outcome('reader', primaryKey), await outcome('reader', secondaryKey)]).toEqual(['DpsUnauthorized', 'in']);
  expect(await outcome('reader', renewed.primaryKey)).toBe('in');
  const swapped = await renew('reader', 'swap');
  expect([swapped.primaryKey, swapped.secondaryKey]).toEqual([secondaryKey, renewed.primaryKey]);
  expect([await outcome('reader', secondaryKey), await outcome('reader', renewed.primaryKey)]).toEqual(['in', 'in']);
  await renew('reader', 'secondary');
  expect(await outcome('reader', renewed.primaryKey)).toBe('DpsUnauthorized');
});

test('rights that are taken away, and a policy that is deleted, end at once', async () => {
  const { primaryKey } = await create('reader');
  await update('reader', { rights: ['EnrollmentWrite'] });
  expect(await outcome('reader', primaryKey)).toBe('DpsForbidden');
  await policies().delete('dps', 'Reader', absent);
  expect(await outcome('reader', primaryKey)).toBe('DpsUnauthorized');
  expect((await refusalOf(policies().delete('dps', 'reader', absent))).error).toBe('ResourceNotFound');
});

test('keys are taken as given, or made anew when they are empty', async () => {
  const given = Buffer.alloc(16, 7).toString('base64');
  const made = await create('reader', ['EnrollmentRead'], { primaryKey: given, secondaryKey: '' });
  expect(made.primaryKey).toBe(given);
  expect(Buffer.from(made.secondaryKey, 'base64')).toHaveLength(32);
  const next = await update('reader', { primaryKey: '' });
  expect(next.primaryKey).not.toBe(given);
  expect(next.secondaryKey).toBe(made.secondaryKey);
});

test.each([
  ['a name with a slash', 'a/b', ['EnrollmentRead'], {}],
  ['no name', '', ['EnrollmentRead'], {}],
  ['no right', 'x', [], {}],
  ['a right that does not exist', 'x', ['EnrollmentRead', 'Everything'], {}],
  ['a key that is no base64', 'x', ['EnrollmentRead'], { primaryKey: 'not base64!' }],
  ['a key of 15 bytes', 'x', ['EnrollmentRead'], { primaryKey: Buffer.alloc(15).toString('base64') }],
  ['a key of 65 bytes', 'x', ['EnrollmentRead'], { secondaryKey: Buffer.alloc(65).toString('base64') }],
])('refused/%s', async (_name, keyName, rights, more) => {
  expect((await refusalOf(create(keyName, rights, more))).error).toBe('DpsBadRequest');
});

test('the last policy that may manage enrollments stays', async () => {
  const owner = 'provisioningserviceowner';
  await create('reader');
  expect((await refusalOf(policies().delete('dps', owner, absent))).message).toContain('ServiceConfig and EnrollmentWrite');
  expect((await refusalOf(update(owner, { rights: ['EnrollmentRead'] }))).error).toBe('DpsBadRequest');
  await create('manager', ['ServiceConfig', 'EnrollmentWrite']);
  await policies().delete('dps', owner, absent);
  expect((await policies().list('dps')).map(({ keyName }) => keyName)).toEqual(['manager', 'reader']);
});
