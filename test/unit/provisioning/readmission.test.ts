import { beforeEach, describe, expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';
import type { Readmission } from '../../../src/contracts/fleet/readmission.ts';
import type { JsonObject } from '../../../src/kernel/json.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import {
  absent,
  any,
  holding,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const near = make({ subject: 'Near', key: ecKey(), issuer: root, ca: true });
const device = make({ subject: 'sensor-1', key: ecKey(), issuer: near });
const second = make({ subject: 'sensor-1', key: ecKey(), issuer: near });
const cause = { by: { kind: 'policy', name: 'owner' } } as const;
const off = { provisioningStatus: 'disabled' } as const;

/** The administration in hands that are told, or that want a refusal. */
function guarded(refuse = false) {
  const told: Readmission[] = [];
  return { told, by: world.provisioning.as(cause, { refuse, tell: (readmissions) => void told.push(...readmissions) }) };
}
const byGroup = (id: string): Readmission[] => [{ device: 'sensor-1', by: { kind: 'group', id, place: 'dps' } }];
const update = (by: ReturnType<typeof guarded>['by'], id: string, body: JsonObject) =>
  by.individualEnrollments.put('dps', id, { body: { registrationId: id, ...body }, precondition: any });

describe('a disabled individual enrollment', () => {
  beforeEach(async () => {
    await world.putGroup('plant', { attestation: signedBy(near) });
    await world.putIndividual('deny', { attestation: holding(device), ...off });
  });

  test('that is deleted tells of the group that lets its device in, after the commit', async () => {
    const { told, by } = guarded();
    await by.individualEnrollments.delete('dps', 'deny', any);
    expect(told).toEqual(byGroup('plant'));
    expect((await world.provision(device)).status).toBe('assigned');
    const [event] = await world.store.read.events.newest({ limit: 1 });
    expect(event).toMatchObject({
      kind: 'readmission',
      data: { deny: { kind: 'enrollment', id: 'deny', place: 'dps' }, by: 'owner', devices: 1, readmits: byGroup('plant') },
    });
    const { items } = await world.store.read.audit.list({ limit: 9, order: 'newest-first', filter: { action: 'enrollment.readmit' } });
    expect(items).toMatchObject([{ actor: { name: 'owner' }, resource: { kind: 'enrollment', id: 'deny', scope: 'dps' } }]);
  });

  test('is not deleted for whoever wants that refused, and nothing is told', async () => {
    const { told, by } = guarded(true);
    const refusal = await refusalOf(by.individualEnrollments.delete('dps', 'deny', any));
    expect(refusal.error).toBe('WouldReadmit');
    expect(refusal.message).toBe(
      "Without the deny of the enrollment 'deny', sensor-1 is let in by the enrollment group 'plant'. Nothing was changed.",
    );
    expect(told).toEqual([]);
    expect((await world.provision(device)).status).toBe('disabled');
    expect(await world.store.read.events.newest({ limit: 9 })).toEqual([]);
  });

  test('that is enabled tells of the group that would do without it', async () => {
    const { told, by } = guarded();
    await update(by, 'deny', { attestation: holding(device), provisioningStatus: 'enabled' });
    expect(told).toEqual(byGroup('plant'));
  });

  test('that gets another certificate lets go of the old one', async () => {
    const { told, by } = guarded();
    await update(by, 'deny', { attestation: holding(second), ...off });
    expect(told).toEqual(byGroup('plant'));
  });

  test.each([
    ['stays disabled', async (by) => void (await update(by, 'deny', { attestation: holding(device), ...off, deviceId: 'other' }))],
    [
      'has another beside it',
      async (by) => {
        await world.putIndividual('deny-too', { attestation: holding(device), ...off });
        await by.individualEnrollments.delete('dps', 'deny', any);
      },
    ],
    [
      'is blocked besides',
      async (by) => {
        const selectors = [{ kind: 'registrationId', value: 'sensor-1' }] as const;
        await world.fleet.blocks.create({ selectors, reason: 'stolen' }, cause);
        await by.individualEnrollments.delete('dps', 'deny', any);
      },
    ],
    [
      'is covered by a disabled group',
      async (by) => {
        await world.putGroup('plant', { attestation: signedBy(near), ...off }, any);
        await by.individualEnrollments.delete('dps', 'deny', any);
      },
    ],
    [
      'is covered by nothing',
      async (by) => {
        await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
        await update(by, 'deny', { attestation: holding(device), provisioningStatus: 'enabled' });
      },
    ],
  ] satisfies [string, (by: ReturnType<typeof guarded>['by']) => Promise<void>][])('that %s tells of nothing', async (_name, change) => {
    const { told, by } = guarded(true);
    await change(by);
    expect(told).toEqual([]);
  });

  test('over another enabled one tells of that', async () => {
    await world.putIndividual('sensor-1', { attestation: holding(device) });
    const { told, by } = guarded();
    await by.individualEnrollments.delete('dps', 'deny', any);
    expect(told).toEqual([{ device: 'sensor-1', by: { kind: 'individual', id: 'sensor-1', place: 'dps' } }]);
  });
});

test('a device whose chain nobody stored is known by what it showed last', async () => {
  await world.putGroup('plant', { attestation: signedBy(root) });
  expect((await world.provision(device, [near])).status).toBe('assigned');
  await world.putIndividual('deny', { attestation: holding(device), ...off });
  const { told, by } = guarded();
  await by.individualEnrollments.delete('dps', 'deny', any);
  expect(told).toEqual(byGroup('plant'));
});

test('a deny by id alone is lifted for what the device showed last', async () => {
  await world.putGroup('plant', { attestation: signedBy(near) });
  await world.provision(device);
  await world.putIndividual('sensor-1', { attestation: { type: 'symmetricKey' }, ...off });
  const { told, by } = guarded();
  await by.individualEnrollments.delete('dps', 'sensor-1', any);
  expect(told).toEqual(byGroup('plant'));
});

describe('groups with a key', () => {
  const key = Buffer.alloc(64, 7).toString('base64');
  const withKey = { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } } };

  test('cover a device of whatever id, whose deny has no certificate', async () => {
    await world.putGroup('keys', withKey);
    await world.putIndividual('sensor-1', { attestation: { type: 'symmetricKey' }, ...off });
    const { told, by } = guarded();
    await by.individualEnrollments.delete('dps', 'sensor-1', any);
    expect(told).toEqual(byGroup('keys'));
    const own = deriveDeviceKey(Buffer.from(key, 'base64'), 'sensor-1');
    expect((await world.provisionRequest(world.keyRequest('sensor-1', own))).status).toBe('assigned');
  });

  test('say nothing of a deny that names a certificate', async () => {
    await world.putGroup('keys', withKey);
    await world.putIndividual('deny', { attestation: holding(device), ...off });
    const { told, by } = guarded(true);
    await by.individualEnrollments.delete('dps', 'deny', any);
    expect(told).toEqual([]);
  });
});

describe('a disabled group', () => {
  beforeEach(async () => {
    await world.putGroup('near', { attestation: signedBy(near) });
    await world.putGroup('far', { attestation: signedBy(root) });
    expect((await world.provision(device, [near])).status).toBe('assigned');
    await world.putGroup('near', { attestation: signedBy(near), ...off }, any);
  });

  test('that is deleted tells of the farther one that lets its devices in', async () => {
    const { told, by } = guarded();
    await by.enrollmentGroups.delete('dps', 'near', any);
    expect(told).toEqual(byGroup('far'));
  });

  test('is kept for whoever wants a refusal; then the trust of before still decides', async () => {
    const { by } = guarded(true);
    expect((await refusalOf(by.enrollmentGroups.delete('dps', 'near', any))).error).toBe('WouldReadmit');
    expect((await world.provision(device)).status).toBe('disabled');
  });

  test('that is enabled is what was asked for', async () => {
    const { told, by } = guarded(true);
    await by.enrollmentGroups.put('dps', 'near', {
      body: { enrollmentGroupId: 'near', attestation: signedBy(near), provisioningStatus: 'enabled' },
      precondition: any,
    });
    expect(told).toEqual([]);
  });
});

test('a new entry, and one that is not there, are as before', async () => {
  const { told, by } = guarded(true);
  await by.individualEnrollments.put('dps', 'new', {
    body: { registrationId: 'new', attestation: holding(device), ...off },
    precondition: absent,
  });
  expect((await refusalOf(by.individualEnrollments.delete('dps', 'none', any))).error).toBe('DpsEnrollmentNotFound');
  expect(told).toEqual([]);
});
