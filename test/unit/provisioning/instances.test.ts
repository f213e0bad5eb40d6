import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import { hours, plus } from '../../../src/kernel/clock.ts';
import type { ProvisioningRight } from '../../../src/contracts/dps/rights.ts';
import { hostOf, openProvisioningWorld, type ProvisioningWorld, refusalOf } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const instances = () => world.provisioning.instances;

describe('an instance', () => {
  test('has an id scope, a policy with every right, and its links', async () => {
    const shown = await instances().get('DPS');
    expect(shown).toMatchObject({ name: 'dps', hostName: 'dps.example.org', allocationPolicy: 'hashed' });
    expect(shown.idScope).toMatch(/^0ne[0-9A-F]{8}$/u);
    expect(shown.iotHubs).toEqual([{ hostName: hostOf('east'), location: 'here', applyAllocationPolicy: true, allocationWeight: 1 }]);
    const [policy, ...others] = await instances().policies('dps');
    expect(others).toEqual([]);
    expect(policy).toMatchObject({ keyName: 'provisioningserviceowner' });
    expect(policy?.rights).toHaveLength(6);
    expect(Buffer.from(policy?.primaryKey ?? '', 'base64')).toHaveLength(32);
    expect(policy?.secondaryKey).not.toBe(policy?.primaryKey);
  });

  test('that is there is returned as it is; a name or host of another one is refused', async () => {
    const before = await instances().get('dps');
    expect(await instances().create({ name: 'DPS', hostName: 'DPS.example.org' })).toEqual(before);
    expect((await refusalOf(instances().create({ name: 'dps', hostName: 'other.example.org' }))).error).toBe('ResourceExists');
    expect((await refusalOf(instances().create({ name: 'other', hostName: 'dps.example.org' }))).error).toBe('ResourceExists');
    expect((await refusalOf(instances().create({ name: '-a', hostName: 'a.example.org' }))).error).toBe('DpsBadRequest');
  });

  test('is found by its host, without port and case, and alone by any', async () => {
    expect((await instances().byHost('DPS.example.org:443'))?.name).toBe('dps');
    expect((await instances().byHost('localhost:8443'))?.name).toBe('dps');
    await instances().create({ name: 'two', hostName: '::1' });
    expect(await instances().byHost('localhost')).toBeUndefined();
    expect((await instances().byHost('[::1]:443'))?.name).toBe('two');
    expect((await instances().byHost('dps.example.org.'))?.name).toBe('dps');
  });
});

describe('links', () => {
  const hub = { hostName: hostOf('east'), location: 'there', applyAllocationPolicy: false, allocationWeight: 1000 };

  test('are added, changed and removed', async () => {
    expect((await instances().linkHub('dps', hub)).iotHubs).toEqual([hub]);
    expect((await instances().unlinkHub('dps', hostOf('EAST'))).iotHubs).toEqual([]);
    expect((await refusalOf(instances().unlinkHub('dps', hostOf('east')))).error).toBe('ResourceNotFound');
  });

  for (const allocationWeight of [0, 1001, 1.5, Number.NaN]) {
    test(`have no weight of ${allocationWeight}`, async () => {
      expect((await refusalOf(instances().linkHub('dps', { ...hub, allocationWeight }))).message).toContain('allocationWeight');
    });
  }

  test('belong to an instance that exists', async () => {
    expect((await refusalOf(instances().linkHub('nope', hub))).error).toBe('ResourceNotFound');
  });
});

describe('authorize', () => {
  const reader = {
    keyName: 'reader',
    primaryKey: Buffer.alloc(32, 1).toString('base64'),
    secondaryKey: Buffer.alloc(32, 2).toString('base64'),
  };
  const host = 'dps.example.org';

  beforeEach(() => world.storage.write((transaction) => transaction.instances.putPolicy('dps', { ...reader, rights: ['EnrollmentRead'] })));

  const ask = (authorization: string | undefined, right: ProvisioningRight = 'EnrollmentRead') =>
    world.provisioning.authorize({ instance: 'dps', authorization, host, path: '/enrollments/x', remoteAddress: '192.0.2.1', right });
  const token = (changes: Partial<Parameters<typeof createSasToken>[0]> = {}) =>
    createSasToken({
      resource: host,
      base64Key: reader.primaryKey,
      keyName: 'reader',
      expiresAt: plus(world.clock.now(), hours(1)),
      ...changes,
    });

  test('lets through either key of a policy that has the right', async () => {
    await expect(ask(token())).resolves.toBe('reader');
    await expect(ask(token({ base64Key: reader.secondaryKey }))).resolves.toBe('reader');
  });

  test('a right that the policy lacks is forbidden', async () => {
    expect((await refusalOf(ask(token(), 'EnrollmentWrite'))).error).toBe('DpsForbidden');
  });

  test('everything else is unauthorized, and does not say why', async () => {
    const old = token({ expiresAt: plus(world.clock.now(), hours(-1)) });
    const foreign = token({ base64Key: Buffer.alloc(32, 3).toString('base64') });
    for (const authorization of [
      undefined,
      '',
      'Bearer x',
      old,
      foreign,
      token({ resource: 'other.example.org' }),
      token({ keyName: 'nobody' }),
    ]) {
      expect(await refusalOf(ask(authorization))).toMatchObject({ error: 'DpsUnauthorized', message: 'Unauthorized' });
    }
  });
});
