import { beforeEach, describe, expect, test } from 'vitest';

import { systemCause } from '../../../../src/audit/actor.ts';
import type { WhatIfReport } from '../../../../src/contracts/fleet/what-if.ts';
import { limits } from '../../../../src/contracts/limits.ts';
import type { Change } from '../../../../src/fleet/what-if/change.ts';
import { ecKey, type Made, make } from '../../../fixtures/pki/make-certificate.ts';
import {
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  await world.putGroup('plant', { attestation: signedBy(root) });
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const leafOf = (subject: string): Made => make({ subject, key: ecKey(), issuer: root });
const [one, two] = [leafOf('one'), leafOf('two')];

const ask = (change: Change): Promise<WhatIfReport> => world.fleet.whatIf.report({ change });
const flipsOf = ({ devices }: WhatIfReport): Record<string, string> =>
  Object.fromEntries(devices.map(({ device, flip }) => [device, flip]));

/** Everything that a change could have left behind. */
async function state(): Promise<unknown> {
  const { read } = world.store;
  return [
    await read.enrollments.list('individual', 'dps', { limit: 100 }),
    await read.enrollments.list('group', 'dps', { limit: 100 }),
    await read.registrations.list('dps', { limit: 100 }),
    await read.devices.list('east', { limit: 100 }),
    await read.caCertificates.list('dps'),
    await read.instances.linkedHubs('dps'),
    await read.blocks.list({ limit: 100 }),
    await read.audit.list({ limit: 1000, filter: {}, order: 'newest-first' }),
  ];
}

describe('what a change would do', () => {
  beforeEach(async () => {
    await world.provision(one);
    await world.provision(two);
  });

  test.each<[Change, Record<string, string>]>([
    [
      { kind: 'group', action: 'disable', id: 'plant' },
      { one: 'shut-out', two: 'shut-out' },
    ],
    [{ kind: 'group', action: 'enable', id: 'plant' }, {}],
    [
      { kind: 'hub', action: 'unlink', hostName: hostOf('east') },
      { one: 'shut-out', two: 'shut-out' },
    ],
    [{ kind: 'list', text: one.certificate.sha256 }, { one: 'shut-out' }],
    [{ kind: 'list', text: `# comment\n${two.certificate.serialNumber} CN=Root\n` }, { two: 'shut-out' }],
    [
      { kind: 'list', text: `${one.pem}${two.pem}` },
      { one: 'shut-out', two: 'shut-out' },
    ],
    [
      { kind: 'enrollment', action: 'put', id: 'disallow-002', body: { attestation: holding(two), provisioningStatus: 'disabled' } },
      { two: 'shut-out' },
    ],
  ])('%j', async (change, flips) => {
    const before = await state();
    const report = await ask(change);
    expect(flipsOf(report)).toEqual(flips);
    expect(report.examined).toBe(2);
    // Not a row, and not an entry in the audit trail.
    expect(await state()).toEqual(before);
  });

  test('a list of certificates ends connections, too, and lifting a block lets in again', async () => {
    const listed = await ask({ kind: 'list', text: one.certificate.sha256 });
    expect(listed.devices[0]).toMatchObject({
      registration: { before: { kind: 'assigned', entry: { kind: 'group', id: 'plant' } }, after: { kind: 'disabled' } },
      connection: { before: { kind: 'connects' }, after: { kind: 'refused', errorCode: 403012 } },
    });
    const { id } = await world.fleet.blocks.create({ selectors: [], certificate: one.pem, by: ['leaf'], reason: 'lost' }, systemCause);
    expect(flipsOf(await ask({ kind: 'block', action: 'lift', id }))).toEqual({ one: 'let-in' });
    expect(await world.store.read.blocks.get(id)).toBeDefined();
  });

  test('an identity that never registered is asked about where hubs are concerned', async () => {
    await world.hub.registry.put('east', 'by-hand', { body: { deviceId: 'by-hand', status: 'enabled' }, precondition: { kind: 'absent' } });
    expect((await ask({ kind: 'list', text: one.certificate.sha256 })).examined).toBe(3);
    expect((await ask({ kind: 'group', action: 'disable', id: 'plant' })).examined).toBe(2);
  });

  test('what a webhook decides is said to be unknown', async () => {
    const custom = {
      allocationPolicy: 'custom',
      customAllocationDefinition: { webhookUrl: 'https://example.org/', apiVersion: '2021-10-01' },
    };
    const report = await ask({
      kind: 'group',
      action: 'put',
      id: 'plant',
      body: { enrollmentGroupId: 'plant', attestation: signedBy(root), ...custom },
    });
    expect(flipsOf(report)).toEqual({ one: 'unknown', two: 'unknown' });
    expect(report.notes.join(' ')).toContain('2 devices cannot be foretold');
  });
});

describe('a question that cannot be answered', () => {
  test.each<[Change, string]>([
    [{ kind: 'group', action: 'delete', id: 'nothing' }, 'DpsEnrollmentNotFound'],
    [{ kind: 'enrollment', action: 'enable', id: 'nothing' }, 'DpsEnrollmentNotFound'],
    [{ kind: 'group', action: 'put', id: 'x', body: { attestation: { type: 'x509' } } }, 'DpsBadRequest'],
    [{ kind: 'hub', action: 'unlink', hostName: 'nothing' }, 'ResourceNotFound'],
    [{ kind: 'block', action: 'lift', id: 'nothing' }, 'ResourceNotFound'],
    [{ kind: 'list', text: 'gibberish' }, 'ArgumentInvalid'],
    [{ kind: 'list', text: '' }, 'ArgumentInvalid'],
    [{ kind: 'list', text: '0A CN=Unknown' }, 'ArgumentInvalid'],
    [{ kind: 'list', der: Buffer.from('no list') }, 'ArgumentInvalid'],
    [{ kind: 'group', action: 'delete', id: 'plant', instance: 'nothing' }, 'ResourceNotFound'],
  ])('%j is refused with %s', async (change, error) => {
    expect((await refusalOf(ask(change))).error).toBe(error);
  });

  test('of devices that nobody knows, it is said that they are not', async () => {
    await world.provision(one);
    const change: Change = { kind: 'group', action: 'disable', id: 'plant' };
    const report = await world.fleet.whatIf.report({ change, devices: ['ghost', 'ONE', 'goblin'] });
    expect(report.examined).toBe(1);
    expect(report.notes.join(' ')).toContain('Not known here: ghost, goblin.');
    expect((await world.fleet.whatIf.report({ change, devices: ['one'] })).notes.join(' ')).not.toContain('Not known');
  });

  test('making the change to see whether it can be made counts as one, too: each holds up everybody who writes', async () => {
    const change: Change = { kind: 'group', action: 'disable', id: 'plant' };
    const asked = Array.from({ length: limits.whatIfsAtOnce + 1 }, () => world.fleet.whatIf.stream({ change }));
    const settled = await Promise.allSettled(asked);
    expect(settled.map(({ status }) => status)).toEqual([...Array(limits.whatIfsAtOnce).fill('fulfilled'), 'rejected']);
    expect((await ask(change)).examined).toBe(0);
  });

  test('only so many go on at a time, and one that is broken off makes room', async () => {
    const change: Change = { kind: 'group', action: 'disable', id: 'plant' };
    const open = await Promise.all(
      Array.from({ length: limits.whatIfsAtOnce }, async () => (await world.fleet.whatIf.stream({ change }))(new AbortController().signal)),
    );
    await world.provision(one);
    for (const events of open) await events.next();
    expect((await refusalOf(ask(change))).error).toBe('ServerBusy');
    for (const events of open) await events.return(undefined);
    expect((await ask(change)).examined).toBe(1);
  });
});
