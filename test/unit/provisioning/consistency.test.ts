import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { hours, minutes } from '../../../src/kernel/clock.ts';
import { limits } from '../../../src/contracts/limits.ts';
import { createHousekeeping } from '../../../src/provisioning/housekeeping.ts';
import type { ProvisioningStorage } from '../../../src/provisioning/ports.ts';
import { createProvisioning } from '../../../src/provisioning/provisioning.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { withoutWebhooks } from '../../fixtures/no-webhooks.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { leaf, root } from '../../fixtures/pki/path-case.ts';
import { holding, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

const top = root();
const device = leaf(top, { subject: 'dev-1' });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('g', { attestation: signedBy(top) });
});
afterEach(() => world.close());

/** The same provisioning over a storage in which `first` happens before the next write. */
function withWriteAfter(first: () => Promise<unknown>) {
  let pending: (() => Promise<unknown>) | undefined = first;
  const storage: ProvisioningStorage = {
    read: world.storage.read,
    write: async (work) => {
      const before = pending;
      pending = undefined;
      await before?.();
      return world.storage.write(work);
    },
  };
  return createProvisioning({
    storage,
    clock: world.clock,
    ids: new FakeIds(),
    log: world.log,
    requireVerifiedCa: false,
    allocation: withoutWebhooks,
  });
}

describe('between the decision and its transaction', () => {
  test('a deny that was committed shuts the device out', async () => {
    const racing = withWriteAfter(() => world.putIndividual('deny', { attestation: holding(device), provisioningStatus: 'disabled' }));
    expect((await racing.registrations.register(world.request(device))).body.status).toBe('disabled');
    expect((await world.hub.registry.list('east', { limit: 1 })).items).toEqual([]);
  });

  test('a group that was deleted lets nobody in', async () => {
    const racing = withWriteAfter(() => world.provisioning.enrollmentGroups.delete('dps', 'g', { kind: 'any' }));
    expect((await refusalOf(racing.registrations.register(world.request(device)))).error).toBe('DpsUnauthorized');
    expect((await world.hub.registry.list('east', { limit: 1 })).items).toEqual([]);
  });
});

describe('an IP filter that is written meanwhile', () => {
  const shutOut = () =>
    world.provisioning.instances.update('dps', {
      ipFilterRules: [{ filterName: 'all', action: 'Reject', ipMask: '192.0.2.0/24', target: 'deviceApi' }],
      precondition: { kind: 'any' },
    });

  test('holds for a registration that is under way', async () => {
    const racing = withWriteAfter(shutOut);
    expect((await refusalOf(racing.registrations.register(world.request(device)))).error).toBe('DpsUnauthorized');
    expect((await world.hub.registry.list('east', { limit: 1 })).items).toEqual([]);
  });

  test('holds for a poll that is to be told that its device is disabled', async () => {
    const { operationId } = (await world.provisioning.registrations.register(world.request(device))).body;
    await world.putIndividual('deny', { attestation: holding(device), provisioningStatus: 'disabled' });
    const racing = withWriteAfter(shutOut);
    const poll = racing.registrations.operationStatus({ ...world.request(device), operationId });
    expect((await refusalOf(poll)).error).toBe('DpsUnauthorized');
  });
});

describe('recover', () => {
  test('ends operations that were left open, and the poll has their result', async () => {
    await world.provision(device);
    const operation = { instance: 'dps', operationId: '4.0.left-open', registrationId: 'dev-1', createdAt: world.clock.now() };
    await world.storage.write((transaction) => transaction.registrations.putOperation(operation));
    const poll = () => world.provisioning.registrations.operationStatus({ ...world.request(device), operationId: '4.0.left-open' });
    expect(await poll()).toMatchObject({
      pending: true,
      body: { status: 'assigning', registrationState: { registrationId: 'dev-1', status: 'assigning' } },
    });
    expect(await world.provisioning.recover()).toEqual({ finishedOperations: 1, resumedOperations: 0 });
    expect(await poll()).toMatchObject({ pending: false, body: { status: 'assigned' } });
  });

  test('begins to forget operations, an hour and more after they ended', async () => {
    const { operationId } = (await world.provisioning.registrations.register(world.request(device))).body;
    await world.provisioning.recover();
    const poll = () => world.provisioning.registrations.operationStatus({ ...world.request(device), operationId });
    world.clock.advance(hours(1));
    expect(await poll()).toMatchObject({ body: { status: 'assigned' } });
    world.clock.advance(hours(2));
    await world.storage.write(() => Promise.resolve());
    expect((await refusalOf(poll())).error).toBe('DpsOperationNotFound');
  });
});

describe('housekeeping', () => {
  test('keeps a flood of refusals bounded without waiting for its hour', async () => {
    const pruned: number[] = [];
    const storage: ProvisioningStorage = {
      read: world.storage.read,
      write: (work) =>
        world.storage.write((transaction) =>
          work({
            ...transaction,
            decisions: {
              ...transaction.decisions,
              prune: async (bounds) => {
                pruned.push(bounds.keep);
                return transaction.decisions.prune(bounds);
              },
            },
          }),
        ),
    };
    const housekeeping = createHousekeeping({ storage, clock: world.clock, log: world.log });
    for (let count = 0; count < limits.decisionsBetweenPrunes; count += 1) housekeeping.onStored();
    expect(pruned).toEqual([]);
    world.clock.advance(minutes(1));
    await world.storage.write(() => Promise.resolve());
    expect(pruned).toHaveLength(1);
  });

  test('ends when it is closed, and leaves no timer', async () => {
    await world.provisioning.recover();
    await world.provisioning.close();
    const tidied = world.log.named('provisioning.tidied').length;
    world.clock.advance(hours(24 * 60));
    expect(world.log.named('provisioning.tidied')).toHaveLength(tidied);
    expect(world.clock.pending).toBe(0);
  });

  test('forgets a decision after a month', async () => {
    const { trackingId } = await refusalOf(world.provision(make({ subject: 'dev-9', key: ecKey() })));
    await world.provisioning.recover();
    world.clock.advance(hours(24 * 29));
    await world.storage.write(() => Promise.resolve());
    expect(await world.store.read.decisions.get(trackingId ?? '')).toBeDefined();
    world.clock.advance(hours(24 * 2));
    await world.storage.write(() => Promise.resolve());
    expect(await world.store.read.decisions.get(trackingId ?? '')).toBeUndefined();
  });
});
