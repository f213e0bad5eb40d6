import { beforeEach, describe, expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';
import type { Drift, DriftKind, Mended } from '../../../src/contracts/fleet/drift.ts';
import { mend } from '../../../src/fleet/reconcile/mend.ts';
import { hours, instant, plus } from '../../../src/kernel/clock.ts';
import { FakeIds } from '../../fixtures/fake-ids.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import {
  any,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('plant', { attestation: signedBy(root) });
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const key = ecKey();
const leafOf = (subject: string): Made => make({ subject, key, issuer: root });
const leaf = leafOf('sensor-1');
const actor = { by: { kind: 'operator', name: 'ada' } } as const;

async function everything<T extends Drift>(
  page: (after: string | undefined) => Promise<{ items: readonly T[]; next?: string }>,
): Promise<readonly T[]> {
  const found: T[] = [];
  let after: string | undefined;
  do {
    const { items, next } = await page(after);
    found.push(...items);
    after = next;
  } while (after !== undefined);
  return found;
}
const drift = (limit = 100, kinds?: readonly DriftKind[]): Promise<readonly Drift[]> =>
  everything((after) =>
    world.fleet.drift.list({ limit, ...(after === undefined ? {} : { after }), ...(kinds === undefined ? {} : { kinds }) }),
  );
const fix = (changes: { readonly dryRun?: boolean; readonly reason?: string } = {}): Promise<readonly Mended[]> =>
  everything((after) => world.fleet.drift.mend({ limit: 100, ...(after === undefined ? {} : { after }), ...changes }, actor));
const named = (found: readonly Drift[]) => found.map(({ kind, subject }) => `${kind} ${subject.type} ${subject.id}`);
const outcomes = (found: readonly Mended[]) => found.map(({ kind, outcome }) => `${kind} ${outcome}`);
const removeIdentity = (id: string) => world.hub.registry.delete('east', id, any);
const record = (id: string) => world.store.read.registrations.get('dps', id);
const trail = async () => (await world.store.read.audit.list({ order: 'newest-first', limit: 5 })).items;

test('a fleet that is in order shows nothing, identities made by hand included', async () => {
  await world.provision(leaf);
  await world.hub.registry.put('east', 'by-hand', { body: { deviceId: 'by-hand' }, precondition: { kind: 'absent' } });
  await world.fleet.deprovision({ device: 'sensor-1', mode: 'revoke', identity: 'remove', reason: 'stolen' }, actor);
  expect(await drift()).toEqual([]);
  expect(await fix()).toEqual([]);
});

describe('records', () => {
  test('whose device is gone from its hub are deleted, on behalf of whoever asked, and the device can register again', async () => {
    await world.provision(leaf);
    await removeIdentity('sensor-1');
    expect(await drift()).toMatchObject([
      { kind: 'record-without-device', subject: { type: 'record', id: 'sensor-1', scope: 'dps' }, mendable: true },
    ]);
    expect(outcomes(await fix({ dryRun: true }))).toEqual(['record-without-device would-mend']);
    expect(await record('sensor-1')).toBeDefined();
    expect(outcomes(await fix({ reason: 'spring clean' }))).toEqual(['record-without-device mended']);
    expect(await record('sensor-1')).toBeUndefined();
    expect((await trail())[0]).toMatchObject({ action: 'registration.delete', actor: { name: 'ada' }, reason: 'spring clean' });
    expect(await fix()).toEqual([]);
    expect((await world.provision(leaf)).status).toBe('assigned');
    expect(await drift()).toEqual([]);
  });

  test('of a device that is shut out stay while the deny stands: by them its attempts are counted, and it is found', async () => {
    await world.provision(leaf);
    await world.putIndividual('disallow', { attestation: holding(leaf), provisioningStatus: 'disabled' });
    await removeIdentity('sensor-1');
    expect(await drift()).toEqual([]);
    expect(await fix()).toEqual([]);
    expect((await world.provision(leaf)).status).toBe('disabled');
    expect(await world.fleet.tripwires.get('sensor-1')).toMatchObject({ attempts: 1 });
    // Its record says disabled now; without the group it would count for nothing but the deny.
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    expect((await fix()).filter(({ outcome }) => outcome === 'mended')).toEqual([]);
    expect((await world.provision(leaf)).status).toBe('disabled');
    expect(await world.fleet.tripwires.get('sensor-1')).toMatchObject({ attempts: 2 });
    await world.provisioning.individualEnrollments.delete('dps', 'disallow', any);
    expect(outcomes(await fix())).toEqual(['record-without-enrollment mended']);
  });

  test('that name a hub that is not there are deleted; one that is only unlinked is left to a person', async () => {
    await world.link('west', 1000);
    await world.provision(leaf);
    const now = (await record('sensor-1'))!;
    await world.provisioning.instances.unlinkHub('dps', now.assignedHub!);
    expect(await drift()).toMatchObject([{ kind: 'dead-link', subject: { type: 'record', id: 'sensor-1' }, mendable: false }]);
    expect(outcomes(await fix())).toEqual(['dead-link left']);
    await world.store.write((tx) => tx.registrations.put({ ...now, assignedHub: 'nowhere.example.org' }));
    const found = await drift();
    expect(named(found)).toEqual(['record-without-device record sensor-1', 'device-without-record device sensor-1']);
    expect(found[0]?.sentence).toContain('no such hub');
  });

  test('whose enrollment is gone: deleted when nothing else is left of the device, never while it can still connect', async () => {
    await world.provision(leaf);
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    expect(await drift()).toMatchObject([{ kind: 'record-without-enrollment', mendable: false }]);
    expect((await drift())[0]?.remedy).toContain('Deprovision it');
    await removeIdentity('sensor-1');
    // Told once: the mend is one.
    expect(named(await drift())).toEqual(['record-without-enrollment record sensor-1']);
    expect(outcomes(await fix())).toEqual(['record-without-enrollment mended']);
    expect(await record('sensor-1')).toBeUndefined();
  });

  test('that a receipt would put back stay, until it is undone', async () => {
    await world.provision(leaf);
    await world.fleet.deprovision({ device: 'sensor-1', mode: 'revoke', identity: 'remove', reason: 'stolen' }, actor);
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    expect(await drift(100, ['record-without-enrollment'])).toMatchObject([{ mendable: false, subject: { id: 'sensor-1' } }]);
    expect(outcomes(await fix())).toContain('record-without-enrollment left');
    await world.fleet.reinstate({ device: 'sensor-1' }, actor);
    expect(await record('sensor-1')).toMatchObject({ status: 'assigned' });
  });

  test('that are put in order between the list and the fix are left alone', async () => {
    await world.provision(leaf);
    await removeIdentity('sensor-1');
    const { list } = world.fleet.drift;
    const [finding] = (await list({ limit: 9 })).items;
    await world.provision(leaf);
    const deps = { storage: world.store, clock: world.clock, ids: new FakeIds(), isShutOut: () => Promise.resolve(false) };
    expect(await mend(deps, finding!, { cause: actor, dryRun: false })).toMatchObject({ outcome: 'gone' });
    expect(await record('sensor-1')).toMatchObject({ status: 'assigned' });
  });
});

describe('identities', () => {
  test('that came from a registration and lost their record are told of; nothing takes them away', async () => {
    await world.provision(leaf);
    await world.provisioning.records.delete('dps', 'sensor-1', any);
    expect(await drift()).toMatchObject([
      { kind: 'device-without-record', subject: { type: 'device', id: 'sensor-1', scope: 'east' }, mendable: false },
    ]);
    expect(outcomes(await fix())).toEqual(['device-without-record left']);
    expect(await world.store.read.devices.get('east', 'sensor-1')).toBeDefined();
    await world.provision(leaf);
    expect(await drift()).toEqual([]);
  });

  test('are compared with their case, as hubs do', async () => {
    await world.putIndividual('sensor-1', { attestation: holding(leaf), deviceId: 'Pump' });
    await world.provision(leaf);
    await world.hub.registry.put('east', 'pump', { body: { deviceId: 'pump' }, precondition: { kind: 'absent' } });
    await removeIdentity('Pump');
    expect(named(await drift())).toEqual(['record-without-device record sensor-1']);
  });
});

describe('links', () => {
  test('to a hub that is not there end; the tag of the service advances', async () => {
    await world.provisioning.instances.linkHub('dps', {
      hostName: 'gone.example.org',
      location: 'here',
      applyAllocationPolicy: true,
      allocationWeight: 1,
    });
    const before = await world.provisioning.instances.get('dps');
    expect(await drift()).toMatchObject([{ kind: 'dead-link', subject: { type: 'linked-hub', id: 'gone.example.org' }, mendable: true }]);
    expect(outcomes(await fix())).toEqual(['dead-link mended']);
    const after = await world.provisioning.instances.get('dps');
    expect(after.iotHubs.map(({ hostName }) => hostName)).toEqual([hostOf('east')]);
    expect(after.etag).not.toBe(before.etag);
    expect(await fix()).toEqual([]);
  });

  test('of entries to hubs that are not linked are told of', async () => {
    await world.store.write(async (tx) => {
      const row = (await tx.enrollments.get('group', 'dps', 'plant'))!;
      await tx.enrollments.replace({ ...row, iotHubs: ['EAST.example.org', 'gone.example.org'], etag: 'new' }, undefined);
    });
    const found = await drift();
    expect(named(found)).toEqual(['dead-link enrollment-group plant']);
    expect(found[0]?.sentence).toContain('gone.example.org, which is not there');
  });
});

describe('thumbprints', () => {
  const accept = (primaryThumbprint: string) =>
    world.hub.registry.put('east', 'sensor-1', {
      body: { deviceId: 'sensor-1', authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint } } },
      precondition: any,
    });

  test('of the identity and the last registration differ; either digest of the same certificate does not', async () => {
    await world.provision(leaf);
    await accept(leaf.certificate.sha1);
    expect(await drift()).toEqual([]);
    await accept(leafOf('sensor-1').certificate.sha256);
    expect(await drift()).toMatchObject([{ kind: 'thumbprint-differs', subject: { type: 'record', id: 'sensor-1' }, mendable: false }]);
    await world.provision(leaf);
    expect(await drift()).toEqual([]);
  });

  test('a certificate that its enrollment holds no more, and the hub still accepts', async () => {
    await world.putIndividual('sensor-1', { attestation: holding(leaf) });
    await world.provision(leaf);
    const renewed = leafOf('sensor-1');
    await world.putIndividual('sensor-1', { attestation: holding(renewed) }, any);
    const found = await drift();
    expect(named(found)).toEqual(['thumbprint-differs record sensor-1']);
    expect(found[0]?.sentence).toContain('holds another certificate now');
    await world.provision(renewed);
    expect(await drift()).toEqual([]);
  });
});

describe('denies', () => {
  const disable = (id: string, attestation: object) =>
    world.putIndividual(id, { attestation, provisioningStatus: 'disabled' } as never, any);
  const needless = () => drift(100, ['deny-not-needed']);
  const stranger = make({ subject: 'Strange', key: ecKey(), ca: true });

  test('an entry that a group would let in is needed; without the group it is not, and stays all the same', async () => {
    await disable('sensor-1', holding(leaf));
    expect(await needless()).toEqual([]);
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    expect(await needless()).toMatchObject([{ subject: { type: 'enrollment', id: 'sensor-1', scope: 'dps' }, mendable: false }]);
    expect(outcomes(await fix())).toEqual(['deny-not-needed left']);
    expect(await world.store.read.enrollments.get('individual', 'dps', 'sensor-1')).toBeDefined();
  });

  test('a group that is disabled stands behind it: then nothing is said, for both might be taken away', async () => {
    await disable('sensor-1', holding(leaf));
    const group = await world.provisioning.enrollmentGroups.get('dps', 'plant');
    await world.putGroup('plant', { attestation: signedBy(root), provisioningStatus: 'disabled' }, any);
    expect(group.provisioningStatus).toBe('enabled');
    expect(await needless()).toEqual([]);
  });

  test('a certificate of nobody here needs no deny', async () => {
    await disable('lost', holding(make({ subject: 'lost', key, issuer: stranger })));
    expect(named(await needless())).toEqual(['deny-not-needed enrollment lost']);
  });

  test('a key that a group derives needs one, whatever key the entry has', async () => {
    const [primaryKey, secondaryKey] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')];
    const own = { type: 'symmetricKey', symmetricKey: { primaryKey: secondaryKey, secondaryKey: primaryKey } };
    await disable('keyed', own);
    expect(named(await needless())).toEqual(['deny-not-needed enrollment keyed']);
    await world.putGroup('keys', { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } });
    expect(await needless()).toEqual([]);
    // And so it is: the entry alone keeps it out.
    const derived = deriveDeviceKey(Buffer.from(primaryKey, 'base64'), 'keyed');
    expect((await world.provisionRequest(world.keyRequest('keyed', derived))).status).toBe('disabled');
  });

  test('a block that ended is deleted; one that is in force is told of when all whom it covers are refused anyway', async () => {
    await world.provision(leaf);
    const block = (expiresAt?: number) =>
      world.fleet.blocks.create(
        {
          selectors: [{ kind: 'registrationId', value: 'sensor-1' }],
          reason: 'lost',
          ...(expiresAt === undefined ? {} : { expiresAt: instant(expiresAt) }),
        },
        actor,
      );
    const ended = await block(plus(world.clock.now(), hours(1)));
    const standing = await block();
    expect(await needless()).toEqual([]);
    world.clock.advance(hours(2));
    expect(await needless()).toMatchObject([{ subject: { type: 'block', id: ended.id }, mendable: true }]);
    expect(outcomes(await fix())).toEqual(['deny-not-needed mended']);
    expect(await world.store.read.blocks.get(ended.id)).toBeUndefined();
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    // Its identity is still at the hub, and the block keeps it out there.
    expect(await needless()).toEqual([]);
    await removeIdentity('sensor-1');
    expect(await needless()).toMatchObject([{ subject: { type: 'block', id: standing.id }, mendable: false }]);
  });

  test('of whom nobody knows anything, nothing is said', async () => {
    await world.fleet.blocks.create({ selectors: [{ kind: 'registrationId', value: 'nobody' }], reason: 'lost' }, actor);
    await world.fleet.blocks.create({ selectors: [{ kind: 'leaf', value: 'AB'.repeat(32) }], reason: 'lost' }, actor);
    expect(await needless()).toEqual([]);
  });
});

test('pages are the list, whatever their size, and a place that no page gave is refused', async () => {
  for (let at = 0; at < 5; at++) await world.provision(leafOf(`sensor-${at}`));
  for (let at = 0; at < 5; at++) await removeIdentity(`sensor-${at}`);
  await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
  await world.provisioning.instances.unlinkHub('dps', hostOf('east'));
  const whole = await drift();
  expect(whole).toHaveLength(5);
  for (const size of [1, 2, 3]) expect(await drift(size)).toEqual(whole);
  expect((await refusalOf(world.fleet.drift.list({ limit: 1, after: 'nonsense' }))).error).toBe('ArgumentInvalid');
});
