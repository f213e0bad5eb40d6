import { afterEach, describe, expect, test } from 'vitest';

import { createSasToken } from '../../../src/access/sas-token.ts';
import { azureS1Quotas, type QuotaNumbers } from '../../../src/contracts/quotas.ts';
import { hours, instant, plus, seconds } from '../../../src/kernel/clock.ts';
import { createQuotas, type DrawnRate, type SharedRates } from '../../../src/provisioning/quotas.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import {
  absent,
  any,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const stranger = make({ subject: 'Stranger', key: ecKey(), ca: true });
const key = ecKey();
const leaf = (subject: string, issuer = root) => make({ subject, key, issuer });
const throttled = { error: 'Throttled', message: 'Operations are being throttled for this tenant.' };

let world: ProvisioningWorld;
afterEach(() => world?.close());
const open = async (quotas?: QuotaNumbers): Promise<void> => {
  world = await openProvisioningWorld(quotas === undefined ? {} : { quotas });
  await world.putGroup('group', { attestation: signedBy(root) });
};
const register = (id: string, issuer = root) => world.provisioning.registrations.register(world.request(leaf(id, issuer)));

describe('rates that several processes give out of', () => {
  test('are used up by all together', () => {
    const clock = new FakeClock();
    const listeners: ((drawn: DrawnRate) => void)[] = [];
    const createShared = (): SharedRates => {
      let own: ((drawn: DrawnRate) => void) | undefined;
      return {
        tell: (drawn) => listeners.filter((listener) => listener !== own).forEach((listener) => listener(drawn)),
        onTold: (listener) => void listeners.push((own = listener)),
      };
    };
    const numbers = { registrationsPerMinute: 2, pollsPerTenSeconds: 1 };
    const [one, two] = [0, 1].map(() => createQuotas({ numbers, clock, leastWaitSeconds: 1, shared: createShared() }));
    one?.registration('dps');
    two?.registration('DPS');
    for (const quotas of [one, two]) expect(() => quotas?.registration('dps')).toThrow(throttled.message);
    one?.registration('other');
    one?.poll('dps', 'd1');
    expect(() => two?.poll('dps', 'D1')).toThrow(throttled.message);
    // Nothing is limited that has no limit.
    two?.serviceOperation('dps');
  });

  test('what there may be so many of is counted each time', async () => {
    const shared: SharedRates = { tell: () => {}, onTold: () => {} };
    const quotas = createQuotas({ numbers: { linkedHubs: 3 }, clock: new FakeClock(), leastWaitSeconds: 1, shared });
    let there = 0;
    const take = () => quotas.take('linkedHubs', 'dps', () => Promise.resolve(there));
    await take();
    // Another process has added two.
    there = 3;
    await expect(take()).rejects.toMatchObject({ error: 'DpsQuotaExceeded' });
  });
});

describe('rates', () => {
  test('registrations are let through at their rate, whoever asks, and the wait that is told is enough', async () => {
    await open({ registrationsPerMinute: 2 });
    await register('dev-1');
    await register('dev-2');
    const refused = await refusalOf(register('dev-3'));
    expect(refused).toMatchObject({ ...throttled, retryAfterSeconds: 30 });
    world.clock.advance(seconds(29));
    expect((await refusalOf(register('dev-3'))).retryAfterSeconds).toBe(2);
    world.clock.advance(seconds(1));
    expect((await register('dev-3')).pending).toBe(true);
    expect(await world.store.read.registrations.get('dps', 'dev-3')).toBeDefined();
  });

  test('strangers use nothing up', async () => {
    await open({ registrationsPerMinute: 1 });
    for (let index = 0; index < 5; index += 1) expect((await refusalOf(register(`s-${index}`, stranger))).error).toBe('DpsUnauthorized');
    expect((await register('dev-1')).pending).toBe(true);
  });

  test('polls are counted for each device by itself', async () => {
    await open({ pollsPerTenSeconds: 2 });
    const polls = async (id: string) => {
      const request = world.request(leaf(id));
      const { operationId } = (await world.provisioning.registrations.register(request)).body;
      return () => world.provisioning.registrations.operationStatus({ ...request, operationId });
    };
    const [one, two] = [await polls('dev-1'), await polls('dev-2')];
    await one();
    await one();
    expect(await refusalOf(one())).toMatchObject({ ...throttled, retryAfterSeconds: 5 });
    expect((await two()).body.status).toBe('assigned');
  });

  test('service operations are counted once a token is good, for each instance by itself', async () => {
    await open({ serviceOperationsPerMinute: 1 });
    await world.provisioning.instances.create({ name: 'two', hostName: 'two.example.org' });
    const ask = async (instance: string, host: string, isSigned = true): Promise<void> => {
      const [policy] = await world.provisioning.policies.list(instance);
      const grant = { resource: host, base64Key: policy?.primaryKey ?? '', keyName: policy?.keyName ?? '' };
      const authorization = isSigned ? createSasToken({ ...grant, expiresAt: plus(world.clock.now(), hours(1)) }) : 'nonsense';
      await world.provisioning.authorize({ instance, authorization, host, path: '/x', remoteAddress: '::1', right: 'EnrollmentRead' });
    };
    expect((await refusalOf(ask('dps', 'dps.example.org', false))).error).toBe('DpsUnauthorized');
    await ask('dps', 'dps.example.org');
    expect(await refusalOf(ask('DPS', 'dps.example.org'))).toMatchObject({ ...throttled, retryAfterSeconds: 60 });
    await ask('two', 'two.example.org');
  });

  test('nobody is told to wait less than the SDKs take', () => {
    const quotas = createQuotas({ numbers: { serviceOperationsPerMinute: 1000 }, clock: new FakeClock(), leastWaitSeconds: 2 });
    for (let index = 0; index < 1000; index += 1) quotas.serviceOperation('dps');
    expect(() => quotas.serviceOperation('dps')).toThrow(expect.objectContaining({ retryAfterSeconds: 2 }));
  });

  test('whoever is told to wait can be told why: the tracking id resolves, and a flood leaves one reason', async () => {
    await open({ registrationsPerMinute: 1, pollsPerTenSeconds: 1 });
    const kept = async (work: Promise<unknown>) => {
      const { trackingId = '' } = await refusalOf(work);
      expect((await world.store.read.decisions.get(trackingId))?.trace).toMatchObject({
        error: 'Throttled',
        steps: [{ subject: 'quota', outcome: 'decided', reason: 'throttled' }],
      });
      return trackingId;
    };
    const request = world.request(leaf('dev-1'));
    const { operationId } = (await world.provisioning.registrations.register(request)).body;
    const poll = () => world.provisioning.registrations.operationStatus({ ...request, operationId });
    await poll();
    const [first, again, polled, other] = [
      await kept(register('dev-1')),
      await kept(register('dev-1')),
      await kept(poll()),
      await kept(register('dev-2')),
    ];
    expect(again).toBe(first);
    expect(new Set([first, polled, other]).size).toBe(3);
    world.clock.advance(seconds(60));
    await register('dev-2');
    expect(await kept(register('dev-1'))).not.toBe(first);
  });

  test('off means off', async () => {
    await open();
    for (let index = 0; index < 20; index += 1) await register('dev-1');
  });
});

describe('counts', () => {
  test('of Azure: 100 groups of a kind, 25 CA certificates; a group that stays of its kind is no new one', async () => {
    await open(azureS1Quotas);
    for (let index = 1; index < 100; index += 1) await world.putGroup(`g${index}`, { attestation: signedBy(root) });
    const refused = await refusalOf(world.putGroup('one-more', { attestation: signedBy(root) }));
    expect(refused).toMatchObject({
      error: 'DpsQuotaExceeded',
      message: 'The quota of enrollment groups with attestation type x509 is used up: it is 100.',
    });
    await world.putGroup('g1', { attestation: signedBy(root) }, any);
    await world.putGroup('keys', { attestation: { type: 'symmetricKey' } });
    expect((await refusalOf(world.putGroup('keys', { attestation: signedBy(root) }, any))).error).toBe('DpsQuotaExceeded');
    await world.provisioning.enrollmentGroups.delete('dps', 'g2', absent);
    await world.putGroup('one-more', { attestation: signedBy(root) });

    const upload = (name: string) =>
      world.provisioning.caCertificates.put('dps', name, { certificate: root.pem, isVerified: false, precondition: absent });
    for (let index = 0; index < 25; index += 1) await upload(`ca-${index}`);
    expect((await refusalOf(upload('one-more'))).error).toBe('DpsQuotaExceeded');
  });

  test('individual enrollments, linked hubs and registration records', async () => {
    await open({ individualEnrollments: 1, linkedHubs: 2, registrations: 1 });
    await world.putIndividual('one', { attestation: { type: 'symmetricKey' } });
    await world.putIndividual('one', { attestation: { type: 'symmetricKey' } }, any);
    expect((await refusalOf(world.putIndividual('two', { attestation: { type: 'symmetricKey' } }))).error).toBe('DpsQuotaExceeded');

    await world.link('west');
    expect((await refusalOf(world.link('north'))).error).toBe('DpsQuotaExceeded');
    await world.link('east');
    await world.provisioning.instances.unlinkHub('dps', hostOf('west'));
    await world.link('south');

    await register('dev-1');
    await register('dev-1');
    expect((await refusalOf(register('dev-2'))).error).toBe('DpsQuotaExceeded');
    // Nothing of it stays: neither a record, nor an identity at a hub.
    expect(await world.store.read.registrations.get('dps', 'dev-2')).toBeUndefined();
    await world.provisioning.records.delete('dps', 'dev-1', absent);
    expect((await register('dev-2')).pending).toBe(true);
  });

  test('are exact, though not every insert counts', async () => {
    const quotas = createQuotas({ numbers: { registrations: 1000 }, clock: new FakeClock(instant(0)), leastWaitSeconds: 2 });
    let rows = 0;
    let counts = 0;
    const count = () => {
      counts += 1;
      return Promise.resolve(rows);
    };
    for (; rows < 1000; rows += 1) await quotas.take('registrations', 'dps', count);
    expect(counts).toBeLessThan(15);
    await expect(quotas.take('registrations', 'DPS', count)).rejects.toMatchObject({ error: 'DpsQuotaExceeded' });
    rows -= 1;
    await quotas.take('registrations', 'dps', count);
  });
});
