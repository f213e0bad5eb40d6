import { beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import { absent, any, holding, openProvisioningWorld, type ProvisioningWorld, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const near = make({ subject: 'Near', key: ecKey(), issuer: root, ca: true });
const device = make({ subject: 'sensor-1', key: ecKey(), issuer: near });
const second = make({ subject: 'sensor-1', key: ecKey(), issuer: near });
const off = { provisioningStatus: 'disabled' } as const;

/** By id, the ids of those that come before. */
async function shadowed(kind: 'individual' | 'group', ...ids: string[]): Promise<Record<string, string[]>> {
  const { individualEnrollments, enrollmentGroups } = world.provisioning;
  const found = await (kind === 'group' ? enrollmentGroups : individualEnrollments).shadowed('dps', ids);
  return Object.fromEntries([...found].map(([id, by]) => [id, by.map((entry) => entry.id)]));
}
const both = (primary: Made, secondary: Made): JsonObject => ({
  type: 'x509',
  x509: { clientCertificates: { primary: { certificate: primary.pem }, secondary: { certificate: secondary.pem } } },
});

describe('individual enrollments', () => {
  test('with the same leaf: the one that is named after the device decides', async () => {
    await world.putIndividual('other', { attestation: holding(device) });
    expect(await shadowed('individual', 'other')).toEqual({});
    await world.putIndividual('sensor-1', { attestation: holding(device) });
    expect(await shadowed('individual', 'other', 'sensor-1')).toEqual({ other: ['sensor-1'] });
  });

  test('a disabled one before the others, and the first of two', async () => {
    await world.putIndividual('sensor-1', { attestation: holding(device) });
    await world.putIndividual('deny-b', { attestation: holding(device), ...off });
    await world.putIndividual('deny-a', { attestation: holding(device), ...off });
    expect(await shadowed('individual', 'sensor-1', 'deny-a', 'deny-b')).toEqual({ 'sensor-1': ['deny-a'], 'deny-b': ['deny-a'] });
  });

  test('a disabled one of the same id, whatever it holds', async () => {
    await world.putIndividual('other', { attestation: holding(device) });
    await world.putIndividual('sensor-1', { attestation: { type: 'symmetricKey' }, ...off });
    expect(await shadowed('individual', 'other', 'sensor-1')).toEqual({ other: ['sensor-1'] });
  });

  test('with two leaves only when both are decided elsewhere', async () => {
    await world.putIndividual('pair', { attestation: both(device, second) });
    await world.putIndividual('deny-1', { attestation: holding(device), ...off });
    expect(await shadowed('individual', 'pair')).toEqual({});
    await world.putIndividual('deny-2', { attestation: holding(second), ...off });
    expect(await shadowed('individual', 'pair')).toEqual({ pair: ['deny-1', 'deny-2'] });
  });

  test('blocks, groups and a leaf without a common name shadow nothing', async () => {
    const nameless = make({ subject: [], key: ecKey(), issuer: near });
    await world.putGroup('plant', { attestation: signedBy(near), ...off });
    await world.putIndividual('nameless', { attestation: holding(nameless) });
    await world.putIndividual('sensor-1', { attestation: holding(device) });
    const selectors = [{ kind: 'registrationId', value: 'sensor-1' }] as const;
    await world.fleet.blocks.create({ selectors, reason: 'lost' }, { by: { kind: 'operator', name: 'Ada' } });
    expect(await shadowed('individual', 'nameless', 'sensor-1', 'none')).toEqual({});
  });

  test('what is marked is what the decision says: it lets go of the mark with the entry that decided', async () => {
    await world.putIndividual('other', { attestation: holding(device) });
    await world.putIndividual('deny', { attestation: holding(device), ...off });
    expect([await shadowed('individual', 'other'), (await world.provision(device)).status]).toEqual([{ other: ['deny'] }, 'disabled']);
    await world.provisioning.individualEnrollments.delete('dps', 'deny', any);
    expect([await shadowed('individual', 'other'), (await world.provision(device)).status]).toEqual([{}, 'assigned']);
  });
});

describe('groups with certificates', () => {
  test('of two with the same certificate the disabled one decides, else the first by id', async () => {
    await world.putGroup('a', { attestation: signedBy(near) });
    await world.putGroup('b', { attestation: signedBy(near) });
    expect(await shadowed('group', 'a', 'b')).toEqual({ b: ['a'] });
    await world.putGroup('b', { attestation: signedBy(near), ...off }, any);
    expect(await shadowed('group', 'a', 'b')).toEqual({ a: ['b'] });
    expect((await world.provision(device, [near])).status).toBe('disabled');
  });

  test('one above another is not shadowed, for other devices may come', async () => {
    await world.putGroup('far', { attestation: signedBy(root) });
    await world.putGroup('near', { attestation: signedBy(near) });
    expect(await shadowed('group', 'far', 'near')).toEqual({});
  });

  test('one that refers to a certificate that nobody verified leaves the decision to the next', async () => {
    const upload = { certificate: near.pem, isVerified: false, precondition: absent };
    await world.provisioning.caCertificates.put('dps', 'ca', upload);
    await world.putGroup('a', { attestation: { type: 'x509', x509: { caReferences: { primary: 'ca' } } } });
    await world.putGroup('b', { attestation: signedBy(near) });
    expect(await shadowed('group', 'a', 'b')).toEqual({ a: ['b'] });
    expect((await world.provision(device, [near])).status).toBe('assigned');
    await world.provisioning.caCertificates.put('dps', 'ca', { ...upload, isVerified: true, precondition: any });
    expect(await shadowed('group', 'a', 'b')).toEqual({ b: ['a'] });
  });
});

describe('groups with a key', () => {
  const withKeys = (primary: number, secondary: number): JsonObject => ({
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: keyOf(primary), secondaryKey: keyOf(secondary) } },
  });
  const keyOf = (fill: number): string => Buffer.alloc(64, fill).toString('base64');

  test('are shadowed by a disabled one that has both of their keys, and by no enabled one', async () => {
    await world.putGroup('a', withKeys(1, 2));
    await world.putGroup('b', withKeys(1, 2));
    expect(await shadowed('group', 'a', 'b')).toEqual({});
    await world.putGroup('c', { ...withKeys(2, 3), ...off });
    expect(await shadowed('group', 'a', 'b', 'c')).toEqual({});
    await world.putGroup('d', { ...withKeys(1, 3), ...off });
    expect(await shadowed('group', 'a', 'b')).toEqual({ a: ['d', 'c'], b: ['d', 'c'] });
  });
});
