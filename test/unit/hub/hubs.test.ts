import { beforeEach, describe, expect, test } from 'vitest';
import type { HubRight } from '../../../src/hub/service.ts';
import { minutes, plus } from '../../../src/kernel/clock.ts';
import { type HubWorld, hostOf, openHubWorld, refusal } from '../../fixtures/hub-world.ts';

let world: HubWorld;

beforeEach(async () => {
  world = await openHubWorld();
  return () => world.close();
});

describe('hubs', () => {
  test('are listed and found by name, without case', async () => {
    expect((await world.hub.hubs.list()).toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: 'hub', hostName: 'hub.example.org' },
      { name: 'other', hostName: 'other.example.org' },
    ]);
    expect(await world.hub.hubs.get('HUB')).toEqual({ name: 'hub', hostName: 'hub.example.org' });
    await expect(world.hub.hubs.get('nowhere')).rejects.toMatchObject(refusal('IotHubNotFound', "'nowhere'"));
  });

  test('are found by host, without case and port', async () => {
    expect(await world.hub.hubs.byHost('Other.Example.org:8883')).toEqual({ name: 'other', hostName: 'other.example.org' });
    expect(await world.hub.hubs.byHost('localhost')).toBeUndefined();
  });

  test('begin with five policies, each with two keys of its own', async () => {
    const policies = await world.hub.hubs.policies('hub');
    expect(Object.fromEntries(policies.map(({ keyName, rights }) => [keyName, rights]))).toEqual({
      iothubowner: ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'],
      service: ['ServiceConnect'],
      device: ['DeviceConnect'],
      registryRead: ['RegistryRead'],
      registryReadWrite: ['RegistryRead', 'RegistryWrite'],
    });
    const keys = [...policies, ...(await world.hub.hubs.policies('other'))].flatMap(({ primaryKey, secondaryKey }) => [
      primaryKey,
      secondaryKey,
    ]);
    expect(new Set(keys).size).toBe(20);
    expect(keys.every((key) => Buffer.from(key, 'base64').length === 32)).toBe(true);
  });

  test('created again are the same, with the same keys', async () => {
    const before = await world.hub.hubs.policies('hub');
    expect(await world.hub.hubs.create({ name: 'HUB', hostName: 'HUB.example.org' })).toEqual({ name: 'hub', hostName: 'hub.example.org' });
    expect(await world.hub.hubs.policies('hub')).toEqual(before);
  });

  test.each([
    [{ name: 'hub', hostName: 'elsewhere.example.org' }, 'ResourceExists', "'hub' already"],
    [{ name: 'third', hostName: 'Hub.example.org' }, 'ResourceExists', "belongs to the IoT hub 'hub'"],
    [{ name: 'a b', hostName: 'third.example.org' }, 'ArgumentInvalid', 'name of an IoT hub'],
    [{ name: '', hostName: 'third.example.org' }, 'ArgumentInvalid', 'name of an IoT hub'],
    [{ name: 'third', hostName: 'third/example' }, 'ArgumentInvalid', 'host name'],
    [{ name: 'third', hostName: '' }, 'ArgumentInvalid', 'host name'],
  ])('%j is refused', async (input, error, sentence) => {
    await expect(world.hub.hubs.create(input)).rejects.toMatchObject(refusal(error, sentence));
    expect(await world.hub.hubs.list()).toHaveLength(2);
  });
});

describe('authorize', () => {
  const authorize = (authorization: string | undefined, right: HubRight, { hub = 'hub', path = '/devices/d1' } = {}) =>
    world.hub.authorize({ hub, authorization, host: hostOf(hub), path, right, peer: { transport: 'https', remoteAddress: '192.0.2.1' } });

  const table: Readonly<Record<string, readonly HubRight[]>> = {
    iothubowner: ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'],
    service: ['ServiceConnect'],
    device: ['DeviceConnect'],
    registryRead: ['RegistryRead'],
    registryReadWrite: ['RegistryRead', 'RegistryWrite'],
  };

  test.each(Object.entries(table))('%s may do %j and nothing else', async (keyName, allowed) => {
    const token = await world.policyToken(keyName);
    for (const right of ['RegistryRead', 'RegistryWrite', 'ServiceConnect', 'DeviceConnect'] as const) {
      if (allowed.includes(right)) await authorize(token, right);
      else await expect(authorize(token, right)).rejects.toMatchObject(refusal('GenericForbidden', right));
    }
  });

  test('writing implies reading, also for a policy that lists only writing', async () => {
    const [policy] = await world.hub.hubs.policies('hub');
    if (policy === undefined) throw new Error('no policy');
    await world.store.write((transaction) =>
      transaction.hubs.putPolicy('hub', { ...policy, keyName: 'writer', rights: ['RegistryWrite'] }),
    );
    await authorize(await world.policyToken('writer'), 'RegistryRead');
  });

  test.each<[string, () => Promise<string | undefined>]>([
    ['no header', () => Promise.resolve(undefined)],
    ['a bearer token', () => Promise.resolve('Bearer x')],
    ['a token that is over', () => world.policyToken('iothubowner', { expiresAt: plus(world.clock.now(), minutes(-6)) })],
    ['a token for another host', () => world.policyToken('iothubowner', { resource: hostOf('other') })],
    ['a token for another path', () => world.policyToken('iothubowner', { resource: `${hostOf('hub')}/devices/d2` })],
    ['a token with a changed signature', async () => (await world.policyToken('iothubowner')).replace(/sig=../u, 'sig=AA')],
    ['a policy that is not there', async () => (await world.policyToken('service')).replace('skn=service', 'skn=nobody')],
    ['the name of a mightier policy', async () => (await world.policyToken('service')).replace('skn=service', 'skn=iothubowner')],
  ])('%s is unauthorized', async (_, token) => {
    await expect(authorize(await token(), 'RegistryRead')).rejects.toMatchObject(refusal('IotHubUnauthorizedAccess'));
  });

  test('a device key opens no service', async () => {
    await world.create('d1');
    await expect(authorize(await world.token('d1'), 'RegistryRead')).rejects.toMatchObject(refusal('IotHubUnauthorizedAccess'));
  });

  test('the policy of another hub opens nothing here', async () => {
    const token = await world.policyToken('iothubowner');
    await expect(authorize(token, 'RegistryRead', { hub: 'other' })).rejects.toMatchObject(refusal('IotHubUnauthorizedAccess'));
  });
});
