import { beforeEach, expect, test } from 'vitest';

import type { Readmission } from '../../../src/contracts/fleet/readmission.ts';
import type { BlockRequest } from '../../../src/fleet/service.ts';
import { instant, minutes, plus } from '../../../src/kernel/clock.ts';
import { ecKey, make, noon } from '../../fixtures/pki/make-certificate.ts';
import { any, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('plant', { attestation: signedBy(root) });
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const leaf = make({ subject: 'sensor-1', key: ecKey(), issuer: root });
const cause = { by: { kind: 'operator', name: 'Ada' } } as const;
const terms = { reason: 'stolen' };
const byGroup: Readmission = { device: 'sensor-1', by: { kind: 'group', id: 'plant', place: 'dps' } };
const byIdentity: Readmission = { device: 'sensor-1', by: { kind: 'identity', id: 'sensor-1', place: 'east' } };

function guarded(refuse = false) {
  const told: Readmission[] = [];
  return { told, guard: { refuse, tell: (readmissions: readonly Readmission[]) => void told.push(...readmissions) } };
}
const block = (request: Omit<BlockRequest, 'reason'>) => world.fleet.blocks.create({ ...request, ...terms }, cause);

test.each<[string, () => Omit<BlockRequest, 'reason'>]>([
  ['its registration id', () => ({ selectors: [{ kind: 'registrationId', value: 'SENSOR-1' }] })],
  ['its key', () => ({ selectors: [], certificate: leaf.pem, by: ['key'] })],
  ['its leaf', () => ({ selectors: [{ kind: 'leaf', value: leaf.certificate.sha256 }] })],
])('a block by %s that is lifted tells of the group, and of the identity that the device kept', async (_name, request) => {
  await world.provision(leaf);
  const { id } = await block(request());
  const { told, guard } = guarded();
  await world.fleet.blocks.lift(id, cause, guard);
  expect(told.toSorted((a, b) => (a.by.kind < b.by.kind ? -1 : 1))).toEqual(
    request().selectors.some(({ kind }) => kind === 'registrationId') ? [byGroup] : [byGroup, byIdentity],
  );
  expect((await world.provision(leaf)).status).toBe('assigned');
  const [event] = await world.store.read.events.newest({ limit: 1 });
  expect(event).toMatchObject({ kind: 'readmission', data: { deny: { kind: 'block', id }, by: 'Ada', devices: told.length } });
});

test('a block of a deprovisioning leads to its device by the receipt', async () => {
  await world.provision(leaf);
  const receipt = await world.fleet.deprovision(
    { device: 'sensor-1', mode: 'revoke', identity: 'remove', by: ['subject'], ...terms },
    cause,
  );
  const id = receipt.block?.id ?? '';
  const { told, guard } = guarded(true);
  const refusal = await refusalOf(world.fleet.blocks.lift(id, cause, guard));
  expect([refusal.error, told]).toEqual(['WouldReadmit', []]);
  expect(refusal.message).toContain(`deny of the block '${id}', sensor-1 is let in by the enrollment group 'plant'`);
  expect((await world.provision(leaf)).status).toBe('disabled');
  await world.fleet.reinstate({ device: 'sensor-1' }, cause);
  expect((await world.provision(leaf)).status).toBe('assigned');
});

test.each<[string, (id: string) => Promise<unknown>]>([
  ['that has ended', async () => world.clock.advance(minutes(10))],
  ['beside another one', () => block({ selectors: [], certificate: leaf.pem, by: ['leaf'] })],
  ['of a device that no group covers any more', () => world.provisioning.enrollmentGroups.delete('dps', 'plant', any)],
])('a block %s tells of nothing', async (_name, change) => {
  await world.provision(leaf);
  await world.hub.registry.delete('east', 'sensor-1', any);
  const selectors = [{ kind: 'registrationId', value: 'sensor-1' }] as const;
  const { id } = await world.fleet.blocks.create({ selectors, ...terms, expiresAt: plus(instant(noon), minutes(5)) }, cause);
  await change(id);
  const { told, guard } = guarded(true);
  await world.fleet.blocks.lift(id, cause, guard);
  expect(told).toEqual([]);
});

test('a block of nobody, and one that is not there', async () => {
  const { id } = await block({ selectors: [{ kind: 'deviceId', value: 'nobody' }] });
  await world.fleet.blocks.lift(id, cause, guarded(true).guard);
  expect((await refusalOf(world.fleet.blocks.lift(id, cause, guarded().guard))).error).toBe('ResourceNotFound');
});
