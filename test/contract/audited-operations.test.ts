import { describe, expect, test } from 'vitest';

import { type AuditedPorts, createPlans } from '../../src/stores/audited/repositories.ts';
import { selectDeviceId } from '../../src/blocks/keys.ts';
import { instant } from '../../src/kernel/clock.ts';
import type { SqlTransaction } from '../../src/stores/sql/store.ts';
import { openForTest } from './open-sqlite.ts';
import { caCertificate, device, hubName, individual, instanceName, openSeeded, registration, sampleInstance, twin } from './samples.ts';

const at = instant(1_700_000_000_000);
const policy = { keyName: 'reader', primaryKey: 'a-primary-secret', secondaryKey: 'a-secondary-secret', rights: ['RegistryRead'] };
const link = { instance: instanceName, hostName: 'hub.example.net', location: 'here', applyAllocationPolicy: true, allocationWeight: 1 };
const block = {
  id: 'block-1',
  selectors: [selectDeviceId('x')],
  reason: 'lost',
  createdBy: 'ada',
  createdAt: at,
  expiresAt: instant(at + 1),
};
const token = { id: 'token-1', name: 'Ada', role: 'reader', secretSha256: 'digest-of-a-secret', createdBy: 'ada', createdAt: at } as const;
const keyed = { type: 'symmetricKey', primaryKey: 'a-primary-secret', secondaryKey: 'a-secondary-secret' } as const;
const owned = { type: 'sas', primaryKey: 'a-primary-secret', secondaryKey: 'a-secondary-secret' } as const;

/** Every operation that changes something, with the action that it is recorded as, in an order in which they can be done. */
const samples: {
  readonly [Port in keyof AuditedPorts]?: readonly (readonly [string, string, (tx: SqlTransaction) => Promise<unknown>])[];
} = {
  enrollments: [
    ['insert', 'enrollment.create', (tx) => tx.enrollments.insert(individual('one', { attestation: keyed }))],
    ['replace', 'enrollment.update', (tx) => tx.enrollments.replace(individual('one', { etag: 'two', attestation: keyed }), undefined)],
    ['delete', 'enrollment.delete', (tx) => tx.enrollments.delete('individual', instanceName, 'one', undefined)],
  ],
  registrations: [
    ['put', 'registration.create', (tx) => tx.registrations.put(registration('one'))],
    ['delete', 'registration.delete', (tx) => tx.registrations.delete(instanceName, 'one', undefined)],
  ],
  caCertificates: [
    ['insert', 'ca-certificate.create', (tx) => tx.caCertificates.insert(caCertificate('root'))],
    ['replace', 'ca-certificate.update', (tx) => tx.caCertificates.replace(caCertificate('root', { isVerified: true }), undefined)],
    ['delete', 'ca-certificate.delete', (tx) => tx.caCertificates.delete(instanceName, 'root', undefined)],
  ],
  instances: [
    ['insert', 'dps.create', (tx) => tx.instances.insert({ ...sampleInstance, name: 'Other', idScope: '0ne00000A02', hostName: 'other' })],
    ['update', 'dps.update', (tx) => tx.instances.update({ ...sampleInstance, allocationPolicy: 'static' }, undefined)],
    ['putPolicy', 'dps-policy.create', (tx) => tx.instances.putPolicy(instanceName, policy)],
    ['deletePolicy', 'dps-policy.delete', (tx) => tx.instances.deletePolicy(instanceName, policy.keyName)],
    ['putLinkedHub', 'linked-hub.create', (tx) => tx.instances.putLinkedHub(link)],
    ['deleteLinkedHub', 'linked-hub.delete', (tx) => tx.instances.deleteLinkedHub(instanceName, link.hostName)],
  ],
  hubs: [
    ['insert', 'hub.create', (tx) => tx.hubs.insert({ name: 'other', hostName: 'other.example.net', createdAt: at })],
    ['putPolicy', 'hub-policy.create', (tx) => tx.hubs.putPolicy(hubName, policy)],
  ],
  devices: [
    ['insert', 'device.create', (tx) => tx.devices.insert(device('one', { authentication: owned }))],
    ['replace', 'device.update', (tx) => tx.devices.replace(device('one', { etagCounter: 2, status: 'disabled' }), undefined)],
    ['delete', 'device.delete', (tx) => tx.devices.delete(hubName, 'one', undefined)],
  ],
  twins: [
    [
      'insert',
      'twin.create',
      async (tx) => {
        await tx.devices.insert(device('two'));
        await tx.twins.insert(twin('two'));
      },
    ],
    ['replace', 'twin.update', (tx) => tx.twins.replace(twin('two', { version: 3, etagCounter: 2, tags: { floor: 1 } }), 2)],
  ],
  telemetry: [['erase', 'telemetry.delete', (tx) => tx.telemetry.erase(hubName, 'two')]],
  blocks: [
    ['insert', 'block.create', (tx) => tx.blocks.insert(block)],
    ['setReadmission', 'block.update', (tx) => tx.blocks.setReadmission(block.id, { until: instant(at + 1000) })],
    ['useReadmission', 'block.update', (tx) => tx.blocks.useReadmission(block.id, at)],
    ['noteEnd', 'block.update', (tx) => tx.blocks.noteEnd(block.id, at)],
    ['delete', 'block.delete', (tx) => tx.blocks.delete(block.id)],
  ],
  receipts: [
    [
      'insert',
      'receipt.create',
      (tx) =>
        tx.receipts.insert({
          id: 'receipt-1',
          kind: 'revoke',
          device: 'one',
          createdBy: 'ada',
          createdAt: at,
          body: {},
          undo: { key: 'a-primary-secret' },
        }),
    ],
    ['markUndone', 'receipt.update', (tx) => tx.receipts.markUndone('receipt-1', 'receipt-2')],
  ],
  runs: [
    [
      'insert',
      'run.create',
      (tx) => tx.runs.insert({ id: 'run-1', kind: 'deprovision', request: {}, createdBy: 'ada', createdAt: at }, ['one', 'two']),
    ],
  ],
  tokens: [
    ['insert', 'operator-token.create', (tx) => tx.tokens.insert(token)],
    ['revoke', 'operator-token.update', (tx) => tx.tokens.revoke(token.id, at)],
  ],
};

/** Of every port, the operations that the plans call a change. */
const watched = Object.entries(createPlans(() => '***')).flatMap(([port, plan]) =>
  Object.entries(plan as object).flatMap(([name, kind]) => (typeof kind === 'function' ? [`${port}.${name}`] : [])),
);

describe('every operation that changes something', () => {
  test('is tried below', () => {
    const tried = Object.entries(samples).flatMap(([port, operations]) => operations.map(([name]) => `${port}.${name}`));
    expect(tried.toSorted()).toEqual(watched.toSorted());
    expect(tried.length).toBeGreaterThan(25);
  });

  test('leaves an entry in its own transaction, and no secret in it', async () => {
    const { store } = await openSeeded(() => openForTest(':memory:'));
    for (const [port, operations] of Object.entries(samples)) {
      for (const [name, action, perform] of operations) {
        const { sequence } = await store.read.audit.head();
        await store.write(perform, { by: { kind: 'operator', name: `${port}.${name}` } });
        const { items } = await store.read.audit.list({ order: 'oldest-first', limit: 10, after: String(sequence) });
        expect(
          items.map((entry) => entry.action),
          `${port}.${name}`,
        ).toContain(action);
        expect(items.every(({ actor }) => actor.name === `${port}.${name}`)).toBe(true);
        expect(JSON.stringify(items)).not.toContain('-secret');
      }
    }
  });

  test('and one of a kind of data leaves none', async () => {
    const { store } = await openSeeded(() => openForTest(':memory:'));
    const before = await store.read.audit.head();
    await store.write(async (tx) => {
      await tx.runs.finish('run-1', at);
      await tx.decisions.prune({ before: at, keep: 1 });
      await tx.tpm.putSecret(instanceName, Buffer.alloc(32));
      await tx.telemetry.forget(hubName, { before: at, atMost: 10 });
    });
    expect(await store.read.audit.head()).toEqual(before);
  });
});
