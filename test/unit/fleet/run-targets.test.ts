import { setImmediate as nextTurn } from 'node:timers/promises';

import { beforeEach, describe, expect, test } from 'vitest';

import type { RunItem } from '../../../src/fleet/ports.ts';
import type { RunTargets, RunTerms } from '../../../src/fleet/service.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import { hostOf, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
const root = make({ subject: 'Root', key: ecKey(), ca: true });
const stranger = make({ subject: 'Stranger', key: ecKey(), ca: true });
const key = ecKey();
const leafOf = (subject: string, issuer = root): Made => make({ subject, key, issuer });
const actor = { by: { kind: 'operator', name: 'ada' } } as const;
const terms = { mode: 'revoke', identity: 'remove', reason: 'recall', by: ['id'] } as const satisfies RunTerms;

beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('plant', { attestation: signedBy(root), initialTwin: { tags: { site: 'north' } } });
  await world.putGroup('yard', { attestation: signedBy(stranger) });
  for (const id of ['a1', 'a2']) await world.provision(leafOf(id));
  await world.provision(leafOf('y1', stranger));
  const held = (id: string) => ({ type: 'x509', x509: { clientCertificates: { primary: { certificate: leafOf(id).pem } } } });
  await world.putIndividual('own', { attestation: held('own'), initialTwin: { tags: { site: 'north' } } });
  await world.putIndividual('shut', { attestation: held('shut'), provisioningStatus: 'disabled' });
  return () => world.close();
});

async function finished(id: string) {
  for (;;) {
    const run = await world.fleet.runs.get(id);
    if (run.finishedAt !== undefined) return run;
    await nextTurn();
  }
}

async function runOver(targets: RunTargets, changes: Partial<RunTerms> = {}): Promise<readonly RunItem[]> {
  const { id } = await world.fleet.runs.start(targets, { ...terms, ...changes }, actor);
  await finished(id);
  return (await world.fleet.runs.items(id, { limit: 100 })).items;
}
const targetsOf = async (targets: RunTargets): Promise<readonly string[]> =>
  (await runOver(targets, { dryRun: true })).map(({ target }) => target);

test.each<[RunTargets, string]>([
  [{ group: 'plamt' }, "an enrollment group 'plamt'"],
  [{ query: "SELECT * FROM registrations WHERE registrationId = 'a9'" }, 'finds nobody'],
  [{ devices: [' '] }, 'list is empty'],
])('nobody is a slip, and what it was is said: %j', async (targets, words) => {
  expect(await refusalOf(world.fleet.runs.start(targets, terms, actor))).toMatchObject({ message: expect.stringContaining(words) });
});

describe('a query chooses', () => {
  test.each([
    ['individual enrollments', "SELECT * FROM enrollments WHERE initialTwin.tags.site = 'north'", ['own']],
    ['those that are disabled', "select * from Enrollments where provisioningStatus = 'disabled'", ['shut']],
    ['what groups provisioned', "SELECT * FROM enrollmentGroups WHERE initialTwin.tags.site = 'north'", ['a1', 'a2']],
    ['records by their hub', `SELECT * FROM registrations WHERE assignedHub = '${hostOf('EAST')}'`, ['a1', 'a2', 'y1']],
    ['records by the beginning of their id', "SELECT * FROM registrations WHERE STARTSWITH(registrationId, 'a')", ['a1', 'a2']],
  ])('%s', async (_name, query, expected) => {
    expect(await targetsOf({ query })).toEqual(expected);
    expect(await targetsOf({ query, instance: 'DPS' })).toEqual(expected);
  });

  test.each([
    ['of nothing that is known', "SELECT * FROM twins WHERE deviceId = 'a1'", 'ArgumentInvalid', 'FROM enrollments'],
    ['of an inherited name', "SELECT * FROM constructor WHERE deviceId = 'a1'", 'ArgumentInvalid', 'FROM enrollments'],
    ['that does not say of what', '*', 'ArgumentInvalid', 'FROM enrollments'],
    ['of everybody', 'SELECT * FROM enrollments', 'ArgumentInvalid', 'without WHERE'],
    ['of a member that is not there', "SELECT * FROM enrollments WHERE colour = 'red'", 'DpsBadRequest', "no member 'colour'"],
    ['that cannot be read', 'SELECT * FROM enrollments WHERE', 'DpsBadRequest', 'a name is missing'],
    ['that finds nobody', "SELECT * FROM registrations WHERE deviceId = 'nobody'", 'ArgumentInvalid', 'no device'],
  ])('and is refused %s', async (_name, query, error, sentence) => {
    const refusal = await refusalOf(world.fleet.runs.start({ query }, terms, actor));
    expect([refusal.error, refusal.message]).toEqual([error, expect.stringContaining(sentence)]);
    expect(await world.fleet.runs.list(9)).toEqual([]);
  });

  test('and is refused for a provisioning service that is not there', async () => {
    const refusal = await refusalOf(world.fleet.runs.start({ group: 'plant', instance: 'other' }, terms, actor));
    expect(refusal.error).toBe('ResourceNotFound');
  });
});

describe('a run', () => {
  test('over a query puts out what it found, and says in the audit trail by what it was chosen', async () => {
    const query = "SELECT * FROM registrations WHERE STARTSWITH(registrationId, 'a')";
    const items = await runOver({ query });
    expect(items.map(({ target, state, receiptId }) => [target, state, typeof receiptId])).toEqual([
      ['a1', 'done', 'string'],
      ['a2', 'done', 'string'],
    ]);
    expect(await world.store.read.devices.get('east', 'a1')).toBeUndefined();
    expect(await world.store.read.devices.get('east', 'y1')).toBeDefined();
    const { items: entries } = await world.store.read.audit.list({ order: 'newest-first', limit: 9, filter: { action: 'run.create' } });
    expect(entries[0]).toMatchObject({ actor: { name: 'ada' }, after: { targets: 2, request: { of: { query } } } });
  });

  test('that is dry says what would be done to each, does nothing, and again says the same', async () => {
    const devices = ['a1', 'nobody', 'y1'];
    const items = await runOver({ devices }, { dryRun: true });
    expect(items.map(({ target, state, message, receiptId }) => [target, state, message, receiptId])).toEqual([
      ['a1', 'done', expect.stringContaining('Identity a1 at east is removed.'), undefined],
      ['nobody', 'failed', expect.stringContaining('Nothing is known of nobody'), undefined],
      ['y1', 'done', expect.stringContaining('names registrationId y1'), undefined],
    ]);
    expect(await world.fleet.receipts.list({ limit: 9 })).toEqual([]);
    expect((await world.fleet.blocks.list({ limit: 9 })).items).toEqual([]);
    expect(await world.store.read.devices.get('east', 'a1')).toBeDefined();
    await runOver({ devices: ['a1'] });
    expect((await runOver({ devices: ['a1'] }, { dryRun: true }))[0]?.message).toBe('It is out already.');
    const runs = await world.fleet.runs.list(9);
    expect(runs.map(({ dryRun }) => dryRun)).toEqual([true, undefined, true]);
  });

  test('that was interrupted goes on dry when it was dry', async () => {
    await world.store.write((tx) =>
      tx.runs.insert(
        { id: 'run-z', kind: 'deprovision', request: { ...terms, dryRun: true }, createdBy: 'ada', createdAt: world.clock.now() },
        ['y1'],
      ),
    );
    expect(await world.fleet.recover()).toEqual({ resumedRuns: 1 });
    expect((await finished('run-z')).counts).toEqual({ pending: 0, done: 1, failed: 0 });
    expect(await world.store.read.devices.get('east', 'y1')).toBeDefined();
  });
});
