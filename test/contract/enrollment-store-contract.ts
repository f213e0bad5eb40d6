import { describe, expect, test } from 'vitest';

import { instant } from '../../src/kernel/clock.ts';
import type { EnrollmentRow } from '../../src/provisioning/ports.ts';
import type { SqlStore } from '../../src/stores/sql/store.ts';
import type { OpenStore } from './open-sqlite.ts';
import {
  caCertificate,
  certificate,
  expectRefusal,
  group,
  individual,
  instanceName,
  leaves,
  openSeeded,
  sampleInstance,
  signers,
} from './samples.ts';

/** What every implementation of `EnrollmentStore` owes. */
export function describeEnrollmentStore(open: OpenStore): void {
  describe('EnrollmentStore', () => {
    describeContents(open);
    describeChanges(open);
    describeLookups(open);
    describePaging(open);
    describeTrustVersion(open);
  });
}

const insert = (store: SqlStore, ...rows: readonly EnrollmentRow[]): Promise<void> =>
  store.write(async (tx) => {
    for (const row of rows) await tx.enrollments.insert(row);
  });

const ids = (rows: readonly EnrollmentRow[]): readonly string[] => rows.map((row) => row.id);

const references = (primaryName?: string, secondaryName?: string): EnrollmentRow['attestation'] => ({
  type: 'x509',
  form: 'caReferences',
  ...(primaryName !== undefined && { primaryName }),
  ...(secondaryName !== undefined && { secondaryName }),
});

function describeContents(open: OpenStore): void {
  const full = individual('Everything', {
    allocationPolicy: 'custom',
    iotHubs: ['a.example.net', 'b.example.net'],
    iotHubHostName: 'a.example.net',
    customAllocationDefinition: { webhookUrl: 'https://example.net/allocate', apiVersion: '2021-10-01' },
    initialTwin: { tags: { plant: 'thl', nested: { n: 1.5, list: [1, 'two', null] } }, properties: { desired: { rate: 5 } } },
    capabilities: { iotEdge: true },
    reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: true },
    provisioningStatus: 'disabled',
    deviceId: 'Device-One',
    optionalDeviceInformation: { serial: 'x', ['__proto__']: { polluted: true } },
  });
  const shapes: readonly (readonly [string, EnrollmentRow])[] = [
    ['every optional member', full],
    ['no optional member', individual('plain')],
    ['two client certificates', individual('two', { attestation: leaves('a', 'b') })],
    ['a secondary certificate only', individual('second', { attestation: leaves(undefined, 'b') })],
    ['no certificate left', individual('none', { attestation: leaves() })],
    ['signing certificates', group('signing', { attestation: signers('root', 'next') })],
    ['CA references', group('referring', { attestation: references('Root-One', 'Root-Two') })],
    ['a secondary CA reference only', group('referring', { attestation: references(undefined, 'Root-Two') })],
    [
      'symmetric keys',
      individual('keys', { attestation: { type: 'symmetricKey', primaryKey: 'cHJpbWFyeQ==', secondaryKey: 'c2Vjb25kYXJ5' } }),
    ],
    ['a TPM', individual('tpm', { attestation: { type: 'tpm', endorsementKey: 'ZWs=' } })],
    [
      'a TPM with its storage root key',
      individual('tpm', { attestation: { type: 'tpm', endorsementKey: 'ZWs=', storageRootKey: 'c3Jr' } }),
    ],
    ['an allocation list that is empty', individual('empty', { iotHubs: [] })],
  ];
  test.each(shapes)('gives back what was stored: %s', async (_name, row) => {
    const { store } = await openSeeded(open);
    await insert(store, row);
    expect(await store.read.enrollments.get(row.kind, instanceName, row.id)).toEqual(row);
  });
}

function describeChanges(open: OpenStore): void {
  test('an id is found in any case and keeps the case of its creation', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('Sensor-THL-002'));
    expect((await store.read.enrollments.get('individual', 'DPS-LOCAL', 'sensor-thl-002'))?.id).toBe('Sensor-THL-002');
    await store.write((tx) => tx.enrollments.replace(individual('SENSOR-thl-002', { etag: 'next' }), undefined));
    expect(await store.read.enrollments.get('individual', instanceName, 'sensor-THL-002')).toMatchObject({
      id: 'Sensor-THL-002',
      etag: 'next',
    });
  });

  test('an id that is taken in another case is refused; an individual and a group may share one', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('one'));
    await expectRefusal(insert(store, individual('ONE', { etag: 'intruder' })), 'DpsEnrollmentExists');
    await insert(store, group('one'));
    expect((await store.read.enrollments.get('individual', instanceName, 'one'))?.etag).toBe('etag-of-one');
    expect((await store.read.enrollments.get('group', instanceName, 'one'))?.kind).toBe('group');
  });

  test('two instances may have the same id', async () => {
    const { store } = await openSeeded(open);
    await store.write((tx) => tx.instances.insert({ ...sampleInstance, name: 'other', idScope: '0ne00000A02' }));
    await insert(store, individual('one'), individual('one', { instance: 'other', etag: 'others' }));
    expect((await store.read.enrollments.get('individual', 'other', 'one'))?.etag).toBe('others');
    await store.write((tx) => tx.enrollments.delete('individual', 'other', 'one', undefined));
    expect(await store.read.enrollments.get('individual', instanceName, 'one')).toBeDefined();
  });

  test('replacing exchanges everything, certificates included', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('one', { attestation: leaves('old-a', 'old-b'), deviceId: 'd', iotHubs: ['x'] }));
    const next = individual('one', {
      etag: 'next',
      attestation: leaves('new'),
      updatedAt: instant(1_800_000_000_000),
      provisioningStatus: 'disabled',
    });
    await store.write((tx) => tx.enrollments.replace(next, 'etag-of-one'));
    expect(await store.read.enrollments.get('individual', instanceName, 'one')).toEqual(next);
    expect(await store.read.enrollments.byLeaf(instanceName, certificate('old-b').tbsSha256)).toEqual([]);
    expect(ids(await store.read.enrollments.byLeaf(instanceName, certificate('new').tbsSha256))).toEqual(['one']);
  });

  test('a stale etag is refused and changes nothing', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('one'));
    await expectRefusal(
      store.write((tx) => tx.enrollments.replace(individual('one', { attestation: leaves('intruder') }), 'stale')),
      'DpsPreconditionFailed',
    );
    await expectRefusal(
      store.write((tx) => tx.enrollments.delete('individual', instanceName, 'one', 'stale')),
      'DpsPreconditionFailed',
    );
    expect(await store.read.enrollments.get('individual', instanceName, 'one')).toEqual(individual('one'));
  });

  test('what does not exist cannot be replaced or deleted', async () => {
    const { store } = await openSeeded(open);
    for (const etag of [undefined, 'any']) {
      await expectRefusal(
        store.write((tx) => tx.enrollments.replace(individual('none'), etag)),
        'DpsEnrollmentNotFound',
      );
      await expectRefusal(
        store.write((tx) => tx.enrollments.delete('group', instanceName, 'none', etag)),
        'DpsEnrollmentNotFound',
      );
    }
  });

  test('of two writers with the same etag one wins', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('one'));
    const attempt = (etag: string) => store.write((tx) => tx.enrollments.replace(individual('one', { etag }), 'etag-of-one'));
    const [first, second] = await Promise.allSettled([attempt('first'), attempt('second')]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { error: 'DpsPreconditionFailed' } });
    expect((await store.read.enrollments.get('individual', instanceName, 'one'))?.etag).toBe('first');
  });

  test('a deleted enrollment is gone with its certificates, and its id is free', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('one'));
    await store.write((tx) => tx.enrollments.delete('individual', instanceName, 'ONE', 'etag-of-one'));
    expect(await store.read.enrollments.get('individual', instanceName, 'one')).toBeUndefined();
    expect(await store.read.enrollments.byLeaf(instanceName, certificate('one').tbsSha256)).toEqual([]);
    await insert(store, individual('one', { attestation: leaves('again') }));
    expect(ids(await store.read.enrollments.byLeaf(instanceName, certificate('again').tbsSha256))).toEqual(['one']);
  });
}

function describeLookups(open: OpenStore): void {
  test('a leaf is found in either slot of individual enrollments, each enrollment once', async () => {
    const { store } = await openSeeded(open);
    await insert(
      store,
      individual('a', { attestation: leaves('shared', 'only-a') }),
      individual('b', { attestation: leaves('only-b', 'shared') }),
      individual('c', { attestation: leaves('shared', 'shared') }),
      individual('d', { attestation: leaves('other') }),
      group('e', { attestation: signers('shared') }),
    );
    const found = await store.read.enrollments.byLeaf('DPS-local', certificate('shared').tbsSha256);
    expect(ids(found)).toEqual(['a', 'b', 'c']);
    expect(found[0]?.attestation).toEqual(leaves('shared', 'only-a'));
    expect(ids(await store.read.enrollments.byLeaf(instanceName, certificate('only-a').tbsSha256))).toEqual(['a']);
    expect(await store.read.enrollments.byLeaf('elsewhere', certificate('shared').tbsSha256)).toEqual([]);
  });

  test('groups are found by any of several signing certificates, disabled ones included', async () => {
    const { store } = await openSeeded(open);
    await insert(
      store,
      group('root', { attestation: signers('root', 'intermediate') }),
      group('intermediate', { attestation: signers('old', 'intermediate'), provisioningStatus: 'disabled' }),
      group('other', { attestation: signers('other') }),
      individual('leaf', { attestation: leaves('root') }),
    );
    const chain = [certificate('leaf').sha256, certificate('intermediate').sha256, certificate('root').sha256];
    expect(ids(await store.read.enrollments.groupsBySigningSha256(instanceName, chain))).toEqual(['intermediate', 'root']);
    expect(await store.read.enrollments.groupsBySigningSha256(instanceName, [])).toEqual([]);
    expect(await store.read.enrollments.groupsBySigningSha256(instanceName, [certificate('leaf').sha256])).toEqual([]);
  });

  test('groups are found by the names of their CA certificates in any case', async () => {
    const { store } = await openSeeded(open);
    await insert(
      store,
      group('one', { attestation: references('Root-One') }),
      group('two', { attestation: references('elsewhere', 'ROOT-ONE') }),
      group('three', { attestation: references('Root-Three') }),
      group('four', { attestation: signers('root-one') }),
    );
    expect(ids(await store.read.enrollments.groupsByCaName(instanceName, ['root-one', 'nothing']))).toEqual(['one', 'two']);
    expect(await store.read.enrollments.groupsByCaName(instanceName, [])).toEqual([]);
  });

  test('finds every group with a symmetric key, by id', async () => {
    const { store } = await openSeeded(open);
    const key = { type: 'symmetricKey', primaryKey: 'cHJpbWFyeQ==', secondaryKey: 'c2Vjb25kYXJ5' } as const;
    const [beta, alpha] = [group('beta', { attestation: key, provisioningStatus: 'disabled' }), group('Alpha', { attestation: key })];
    await insert(store, beta, group('certificates'), alpha, individual('one', { attestation: key }));
    expect(await store.read.enrollments.symmetricKeyGroups(instanceName)).toEqual([alpha, beta]);
    expect(await store.read.enrollments.symmetricKeyGroups('elsewhere')).toEqual([]);
  });

  test('signing certificates are those of every group, each once, and of no individual', async () => {
    const { store } = await openSeeded(open);
    await insert(
      store,
      group('one', { attestation: signers('root', 'next') }),
      group('two', { attestation: signers('root'), provisioningStatus: 'disabled' }),
      group('three', { attestation: references('Root-One') }),
      individual('leaf', { attestation: leaves('leaf') }),
      individual('odd', { attestation: signers('of-an-individual') }),
    );
    const found = await store.read.enrollments.signingCertificates(instanceName);
    const expected = [certificate('root'), certificate('next')].toSorted((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
    expect(found).toEqual(expected);
  });
}

function describePaging(open: OpenStore): void {
  test('pages follow the id without case, and the last one has no next', async () => {
    const { store } = await openSeeded(open);
    await insert(store, individual('b'), individual('A'), individual('C'), individual('d'), group('aa'));
    const first = await store.read.enrollments.list('individual', instanceName, { limit: 2 });
    expect(ids(first.items)).toEqual(['A', 'b']);
    const second = await store.read.enrollments.list('individual', instanceName, { limit: 2, after: first.next ?? '' });
    expect(ids(second.items)).toEqual(['C', 'd']);
    expect(second.next).toBeUndefined();
    const { count } = store.read.enrollments;
    expect([await count('individual', 'DPS-local'), await count('group', instanceName), await count('group', 'elsewhere')]).toEqual([
      4, 1, 0,
    ]);
    expect([await count('individual', instanceName, 'x509'), await count('individual', instanceName, 'tpm')]).toEqual([4, 0]);
    expect(await store.read.enrollments.list('individual', 'elsewhere', { limit: 2 })).toEqual({ items: [] });
  });

  test('a listing neither skips nor repeats while others insert and delete', async () => {
    const { store } = await openSeeded(open);
    await insert(store, ...['b', 'd', 'f', 'h', 'j'].map((id) => individual(id)));
    const first = await store.read.enrollments.list('individual', instanceName, { limit: 2 });
    await store.write(async (tx) => {
      await tx.enrollments.insert(individual('a'));
      await tx.enrollments.insert(individual('e'));
      await tx.enrollments.delete('individual', instanceName, 'd', undefined);
    });
    const second = await store.read.enrollments.list('individual', instanceName, { limit: 10, after: first.next ?? '' });
    expect([...ids(first.items), ...ids(second.items)]).toEqual(['b', 'd', 'e', 'f', 'h', 'j']);
  });
}

function describeTrustVersion(open: OpenStore): void {
  test('the trust version grows with every change of a group or a CA certificate, and with nothing else', async () => {
    const { store } = await openSeeded(open);
    const version = () => store.read.enrollments.trustVersion('dps-LOCAL');
    expect(await version()).toBe(0);
    expect(await store.read.enrollments.trustVersion('elsewhere')).toBe(0);
    const changes: ((tx: Parameters<Parameters<SqlStore['write']>[0]>[0]) => Promise<void>)[] = [
      (tx) => tx.enrollments.insert(group('one')),
      (tx) => tx.enrollments.replace(group('one', { etag: 'next' }), undefined),
      (tx) => tx.enrollments.delete('group', instanceName, 'one', undefined),
      (tx) => tx.caCertificates.insert(caCertificate('root')),
      (tx) => tx.caCertificates.replace(caCertificate('root', { isVerified: true }), undefined),
      (tx) => tx.caCertificates.delete(instanceName, 'root', undefined),
    ];
    let before = 0;
    for (const change of changes) {
      await store.write(change);
      const after = await version();
      expect(after).toBeGreaterThan(before);
      before = after;
    }
    await insert(store, individual('leaf'));
    await store.write((tx) => tx.enrollments.delete('individual', instanceName, 'leaf', undefined));
    expect(await version()).toBe(before);
  });

  test('a change that was rolled back never lends its trust version to another one', async () => {
    const { store } = await openSeeded(open);
    let rolledBack = 0;
    const failing = store.write(async (tx) => {
      await tx.enrollments.insert(group('never'));
      rolledBack = await tx.enrollments.trustVersion(instanceName);
      throw new Error('changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
    await insert(store, group('really'));
    // Nor in another process, which knows nothing of it.
    expect(await store.read.enrollments.trustVersion(instanceName)).not.toBe(rolledBack);
  });
}
