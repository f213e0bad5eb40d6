import { beforeEach, describe, expect, test } from 'vitest';

import { retryAfterSeconds } from '../../../src/fleet/tripwire/retry-hint.ts';
import { minutes } from '../../../src/kernel/clock.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import { any, holding, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('plant', { attestation: signedBy(root) });
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const key = ecKey();
const leaf = make({ subject: 'Sensor-1', key, issuer: root });
const cause = { by: { kind: 'operator', name: 'Ada' } } as const;
const terms = { mode: 'revoke', reason: 'stolen' } as const;

const deprovision = (identity: 'remove' | 'keep' = 'remove') => world.fleet.deprovision({ device: 'sensor-1', identity, ...terms }, cause);
const knock = async (made: Made = leaf, id = 'Sensor-1', remoteAddress = '192.0.2.1') => {
  const peer = { transport: 'https', remoteAddress } as const;
  return await world.provisioning.registrations.register({ ...world.request(made, id), peer });
};
const connect = (deviceId: string, remoteAddress = '192.0.2.1') =>
  refusalOf(
    world.hub.devicePlane.authenticate({
      hub: 'east',
      deviceId,
      credentials: { certificates: [leaf.der] },
      peer: { transport: 'mqtt', remoteAddress },
    }),
  );
const tripwires = async () => (await world.fleet.tripwires.list({ limit: 99 })).items;
const events = async () => (await world.store.read.events.newest({ limit: 99 })).filter(({ kind }) => kind === 'tripwire').toReversed();

test.each(['abc', '/', '%zz'])('refused/a place that no page has given: %s', async (after) => {
  expect((await refusalOf(world.fleet.tripwires.list({ limit: 9, after }))).error).toBe('ArgumentInvalid');
});
test('a place whose device is no device is as good as one that is gone', async () => {
  expect(await world.fleet.tripwires.list({ limit: 9, after: '7/%zz%' })).toEqual({ items: [] });
});

describe('attempts of a device after its deprovisioning', () => {
  test('are counted with doors and addresses, and told what to wait: longer each time', async () => {
    await world.provision(leaf);
    const receipt = await deprovision();
    const first = await knock();
    expect([first.body.status, first.retryAfterSeconds]).toEqual(['disabled', 30]);
    world.clock.advance(minutes(1));
    expect((await knock(leaf, 'sensor-1', '192.0.2.2')).retryAfterSeconds).toBe(60);
    await connect('Sensor-1');
    expect((await knock()).retryAfterSeconds).toBe(240);

    const [row, ...others] = await tripwires();
    expect(others).toEqual([]);
    expect(row).toEqual({
      device: 'Sensor-1',
      deny: { kind: 'block', id: receipt.block?.id },
      firstAt: expect.any(String),
      lastAt: expect.any(String),
      attempts: 4,
      proven: 3,
      doors: [
        { side: 'hub', place: 'east', transport: 'mqtt', attempts: 1 },
        { side: 'provisioning', place: 'dps', transport: 'https', attempts: 3 },
      ],
      addresses: ['192.0.2.1', '192.0.2.2'],
      trackingId: expect.any(String),
      retryAfterSeconds: 240,
    });
    expect(Date.parse(row?.lastAt ?? '') - Date.parse(row?.firstAt ?? '')).toBe(minutes(1));
    expect((await world.store.read.decisions.get(row?.trackingId ?? ''))?.verdict).toBe('disabled');
    expect(await world.fleet.tripwires.get('SENSOR-1')).toEqual(row);
  });

  test('are told of the first time, at each tenfold, and at each service or hub', async () => {
    await world.provision(leaf);
    await deprovision();
    for (let attempt = 1; attempt <= 12; attempt += 1) await knock();
    await connect('Sensor-1');
    const told = await events();
    expect(told.map(({ data }) => data['attempts'])).toEqual([1, 10, 13]);
    expect(told[0]?.data).toMatchObject({ device: 'Sensor-1', deny: { kind: 'block' }, proven: 1, last: { place: 'dps' } });
    expect(told[2]?.data).toMatchObject({ last: { side: 'hub', place: 'east', transport: 'mqtt', address: '192.0.2.1' } });
  });

  test('with the identity kept, the hub counts what was proven', async () => {
    await world.provision(leaf);
    await deprovision('keep');
    expect((await connect('Sensor-1')).error).toBe('DeviceDisabled');
    expect(await tripwires()).toMatchObject([{ attempts: 1, proven: 1, doors: [{ side: 'hub' }] }]);
  });

  test('go on under the block that follows, and begin anew when they end', async () => {
    await world.provision(leaf);
    await deprovision();
    await knock();
    await world.fleet.reinstate({ device: 'sensor-1' }, cause);
    expect((await world.provision(leaf)).status).toBe('assigned');
    await deprovision();
    expect((await knock()).retryAfterSeconds).toBe(30);
    expect(await tripwires()).toMatchObject([{ attempts: 1 }]);

    const selectors = [{ kind: 'registrationId', value: 'sensor-1' }] as const;
    await world.fleet.blocks.create({ selectors, reason: 'more' }, cause);
    await world.putIndividual('deny', { attestation: holding(leaf), provisioningStatus: 'disabled' });
    await knock();
    expect(await tripwires()).toMatchObject([{ attempts: 2 }]);
  });
});

describe('a disabled individual enrollment', () => {
  test('of a device that was registered is one, also at the poll', async () => {
    await world.provision(leaf);
    await world.putIndividual('deny', { attestation: holding(leaf), provisioningStatus: 'disabled' });
    expect((await knock()).retryAfterSeconds).toBe(30);
    const poll = await world.provisioning.registrations.operationStatus({ ...world.request(leaf), operationId: 'x' });
    expect([poll.body.status, poll.retryAfterSeconds]).toEqual(['disabled', 60]);
    expect(await tripwires()).toMatchObject([{ device: 'Sensor-1', deny: { kind: 'individual', id: 'deny' }, attempts: 2 }]);
  });

  test('of a device that never was counts nothing, and gives no hint', async () => {
    await world.putIndividual('deny', { attestation: holding(leaf), provisioningStatus: 'disabled' });
    for (let attempt = 0; attempt < 3; attempt += 1) expect((await knock()).retryAfterSeconds).toBeUndefined();
    expect([await tripwires(), await events()]).toEqual([[], []]);
  });

  test('is told apart from a disabled group, which is about many', async () => {
    await world.provision(leaf);
    await world.putGroup('plant', { attestation: signedBy(root), provisioningStatus: 'disabled' }, any);
    const answer = await knock();
    expect([answer.body.status, answer.retryAfterSeconds, await tripwires()]).toEqual(['disabled', undefined, []]);
  });
});

describe('strangers', () => {
  test('in the name of the device are counted as not proven', async () => {
    await world.provision(leaf);
    await deprovision();
    await knock(make({ subject: 'Sensor-1', key: ecKey() }));
    expect(await tripwires()).toMatchObject([{ attempts: 1, proven: 0 }]);
  });

  test('with the blocked key under a thousand names make no row', async () => {
    await world.provision(leaf);
    await deprovision();
    for (let at = 0; at < 1000; at += 50) await knock(make({ subject: `invented-${at}`, key, issuer: root }), `invented-${at}`);
    for (let at = 0; at < 20; at += 1) await connect(`other-${at}`);
    expect(await tripwires()).toEqual([]);
  });

  test('from a thousand addresses leave ten', async () => {
    await world.provision(leaf);
    await deprovision();
    for (let at = 1; at <= 30; at += 1) await knock(leaf, 'Sensor-1', `198.51.100.${at}`);
    const [row] = await tripwires();
    expect([row?.attempts, row?.addresses.length, row?.addresses[0]]).toEqual([30, 10, '198.51.100.30']);
  });
});

test('the hint doubles up to a day, whatever the number', () => {
  expect([1, 2, 3, 11, 12, 13, 1e9].map(retryAfterSeconds)).toEqual([30, 60, 120, 30_720, 61_440, 86_400, 86_400]);
  expect(retryAfterSeconds(0)).toBe(30);
});
