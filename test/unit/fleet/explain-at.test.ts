import { beforeEach, describe, expect, test } from 'vitest';

import type { Decision, Explanation } from '../../../src/contracts/fleet/explanation.ts';
import { hours, type Instant, instant, minutes, plus } from '../../../src/kernel/clock.ts';
import { ServiceError } from '../../../src/kernel/service-error.ts';
import { ecKey, make, type Made } from '../../fixtures/pki/make-certificate.ts';
import { any, holding, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  later();
  await world.putGroup('plant', { attestation: signedBy(root) });
  later();
  return () => world.close();
});

const root = make({ subject: 'Root', key: ecKey(), ca: true });
const key = ecKey();
const leafOf = (subject: string, issuer = root): Made => make({ subject, key, issuer });
const leaf = leafOf('sensor-1');
const days = (count: number) => hours(24 * count);
const actor = { by: { kind: 'operator', name: 'ada' } } as const;
const shutOut = { mode: 'revoke', identity: 'remove', reason: 'stolen' } as const;

/** Time goes on; the moment before it did. */
function later(): Instant {
  const now = world.clock.now();
  world.clock.advance(minutes(1));
  return now;
}

const explain = (subject: string, asOf?: Instant): Promise<Explanation> =>
  world.fleet.explain({ subject, ...(asOf === undefined ? {} : { asOf }) });
const verdicts = ({ decisions }: Explanation) => decisions.map(({ side, verdict }) => `${side} ${verdict}`);
const decided = ({ trace }: Decision) => trace.find(({ outcome }) => outcome === 'decided')?.sentence;
const setStatus = (provisioningStatus: 'enabled' | 'disabled') =>
  world.putGroup('plant', { attestation: signedBy(root), provisioningStatus }, any);

describe('what was changed since is undone', () => {
  test('a group that was disabled, enabled and disabled again', async () => {
    await world.provision(leaf);
    const [enabled] = [later(), await setStatus('disabled')];
    const [disabled] = [later(), await setStatus('enabled')];
    const [again] = [later(), await setStatus('disabled')];
    expect(verdicts(await explain('sensor-1'))).toEqual(['provisioning disabled', 'hub let-in']);
    expect(verdicts(await explain('sensor-1', enabled))).toEqual(['provisioning let-in', 'hub let-in']);
    expect(verdicts(await explain('sensor-1', disabled))).toEqual(['provisioning disabled', 'hub let-in']);
    const then = await explain('sensor-1', again);
    expect([then.asOf, verdicts(then)]).toEqual([new Date(again).toISOString(), ['provisioning let-in', 'hub let-in']]);
  });

  test('a group that is gone, certificate and all, and one that was not there yet', async () => {
    await world.provision(leaf);
    const then = later();
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    later();
    await world.putGroup('new', { attestation: signedBy(root) });
    expect(decided((await explain('sensor-1')).decisions[0]!)).toContain("'new'");
    const was = await explain('sensor-1', then);
    expect(verdicts(was)).toEqual(['provisioning let-in', 'hub let-in']);
    expect(decided(was.decisions[0]!)).toContain("'plant'");
  });

  test('a deprovisioning: block, identity, record', async () => {
    await world.provision(leaf);
    const before = await explain('sensor-1');
    const then = later();
    await world.fleet.deprovision({ ...shutOut, device: 'sensor-1' }, actor);
    expect(verdicts(await explain('sensor-1'))).toEqual(['provisioning disabled', 'hub refused']);
    const was = await explain('sensor-1', then);
    expect(was.decisions).toEqual(before.decisions);
    expect(was.found?.records).toEqual(before.found?.records);
    expect(was.found?.identities.map(({ hub, status }) => [hub, status])).toEqual([['east', 'enabled']]);
  });

  test('a block that was lifted, by each thing that it can name', async () => {
    await world.provision(leaf);
    for (const by of ['key', 'leaf', 'serial', 'subject'] as const) {
      const block = await world.fleet.blocks.create({ selectors: [], certificate: leaf.pem, by: [by], reason: `by ${by}` }, actor);
      const then = later();
      await world.fleet.blocks.lift(block.id, actor);
      later();
      expect(verdicts(await explain('sensor-1'))).toEqual(['provisioning let-in', 'hub let-in']);
      const was = await explain('sensor-1', then);
      expect(verdicts(was)).toEqual(['provisioning disabled', 'hub refused']);
      expect(decided(was.decisions[0]!)).toContain(`by ${by}`);
    }
  });

  test('a block that had not ended yet, and one readmission that was not used yet', async () => {
    await world.provision(leaf);
    await world.fleet.deprovision({ ...shutOut, device: 'sensor-1', expiresAt: plus(world.clock.now(), days(1)) }, actor);
    const shut = later();
    await world.fleet.reinstate({ device: 'sensor-1', onceUntil: plus(world.clock.now(), hours(1)) }, actor);
    const open = later();
    expect((await world.provision(leaf)).status).toBe('assigned');
    const used = later();
    world.clock.advance(days(2));
    expect(verdicts(await explain('sensor-1'))[0]).toBe('provisioning let-in');
    const at = async (moment: Instant) => verdicts(await explain('sensor-1', moment))[0];
    expect([await at(shut), await at(open), await at(used)]).toEqual([
      'provisioning disabled',
      'provisioning let-in',
      'provisioning disabled',
    ]);
  });

  test('an individual deny that is gone, found by its leaf under another id', async () => {
    await world.putIndividual('deny', { attestation: holding(leaf), provisioningStatus: 'disabled' });
    const then = later();
    await world.provisioning.individualEnrollments.delete('dps', 'deny', any);
    later();
    expect(verdicts(await explain(leaf.pem))).toEqual(['provisioning let-in']);
    expect(verdicts(await explain(leaf.pem, then))).toEqual(['provisioning disabled']);
  });

  test('an identity that was disabled, renamed in its thumbprint, or made by hand since', async () => {
    await world.provision(leaf);
    const then = later();
    const body = {
      deviceId: 'sensor-1',
      status: 'disabled',
      authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: 'AB'.repeat(20) } },
    };
    await world.hub.registry.put('east', 'sensor-1', { body, precondition: any });
    later();
    expect(verdicts(await explain('sensor-1'))[1]).toBe('hub refused');
    expect(verdicts(await explain('sensor-1', then))[1]).toBe('hub let-in');
  });

  test('a CA certificate that a group referred to', async () => {
    const other = make({ subject: 'Other', key: ecKey(), ca: true });
    await world.provisioning.caCertificates.put('dps', 'ca', { certificate: other.pem, precondition: { kind: 'absent' } } as never);
    await world.putGroup('below', { attestation: { type: 'x509', x509: { caReferences: { primary: 'ca' } } } });
    const issued = leafOf('sensor-2', other);
    const now = await explain(issued.pem);
    const then = later();
    await world.provisioning.caCertificates.delete('dps', 'ca', { precondition: any });
    later();
    const was = await explain(issued.pem, then);
    expect(verdicts(was)).toEqual(verdicts(now));
    expect(was.decisions[0]?.trace).toEqual(now.decisions[0]?.trace);
    expect(verdicts(await explain(issued.pem))).toEqual(['provisioning refused']);
  });
});

test('the clock is that of then: a certificate that has run out was good', async () => {
  await world.provision(leaf);
  const then = later();
  world.clock.advance(days(365 * 30));
  expect(verdicts(await explain('sensor-1'))).toEqual(['provisioning refused', 'hub refused']);
  expect(verdicts(await explain('sensor-1', then))).toEqual(['provisioning let-in', 'hub let-in']);
});

describe('what is not known is said', () => {
  const keys = (byte: number) => ({
    type: 'symmetricKey',
    symmetricKey: { primaryKey: Buffer.alloc(32, byte).toString('base64'), secondaryKey: Buffer.alloc(32, byte + 1).toString('base64') },
  });

  test('keys: the decision is told for whoever had the right one', async () => {
    await world.putIndividual('keyed', { attestation: keys(1) });
    await world.provisionRequest(world.keyRequest('keyed', Buffer.alloc(32, 1).toString('base64')));
    const then = later();
    await world.putIndividual('keyed', { attestation: keys(5), provisioningStatus: 'disabled' }, any);
    later();
    const was = await explain('keyed', then);
    expect(verdicts(was)[0]).toBe('provisioning let-in');
    expect(was.notes?.join('\n')).toContain('Keys are not in the audit trail');
    expect(was.notes?.join('\n')).toContain("individual enrollment 'keyed' of dps");
    expect(JSON.stringify(was)).not.toContain(Buffer.alloc(32, 1).toString('base64'));
    expect(verdicts(await explain('keyed'))[0]).toBe('provisioning disabled');
  });

  test('a certificate of an issuer that an older trail did not keep', async () => {
    await world.provision(leaf);
    const then = later();
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', any);
    later();
    const { audit } = world.store.read;
    const older: typeof audit = {
      ...audit,
      async list(query) {
        const { items, ...rest } = await audit.list(query);
        const text = JSON.stringify(items)
          .replaceAll(/"certificate":"[^"]*",?/gu, '')
          .replaceAll(',}', '}');
        return { items: JSON.parse(text) as typeof items, ...rest };
      },
    };
    const fleet = world.fleetOver({ audit: older });
    const was = await fleet.explain({ subject: 'sensor-1', asOf: then });
    expect(was.notes?.[0]).toBe("The certificate of the enrollment group 'plant' of dps is not kept any more.");
    expect(verdicts(was)).toEqual(['provisioning unknown', 'hub unknown']);
  });

  test('before the trail, and after now', async () => {
    const then = later();
    await world.provision(leaf);
    const tooLate = await refusalOf(explain('sensor-1', plus(world.clock.now(), minutes(1))));
    expect([tooLate.error, tooLate.message]).toEqual(['ArgumentInvalid', expect.stringContaining('still to come')]);
    later();
    const kept = world.clock.now();
    await setStatus('disabled');
    await world.store.write(async (tx) => void (await tx.audit.prune(kept)));
    const tooEarly = await refusalOf(explain('sensor-1', then));
    expect([tooEarly.error, tooEarly.message]).toEqual(['ArgumentInvalid', expect.stringContaining('is not known before')]);
    expect(verdicts(await explain('sensor-1', kept))[0]).toBe('provisioning disabled');
  });

  test('before there was anything, nothing was known of the device', async () => {
    expect((await refusalOf(explain('sensor-1', instant(0)))).error).toBe('ResourceNotFound');
  });
});

test('asking changes nothing', async () => {
  await world.provision(leaf);
  const then = later();
  await world.fleet.deprovision({ ...shutOut, device: 'sensor-1' }, actor);
  const head = await world.store.read.audit.head();
  const now = await explain('sensor-1');
  await explain('sensor-1', then);
  expect(await world.store.read.audit.head()).toEqual(head);
  expect((await explain('sensor-1')).decisions).toEqual(now.decisions);
});

test('at every moment of a long history it is what was said at that moment', async () => {
  const second = make({ subject: 'Second', key: ecKey(), issuer: root, ca: true });
  const own = make({ subject: 'sensor-1', key, issuer: second });
  await world.provision(own, [second]);
  later();
  let seed = 7;
  const pick = (of: number): number => (seed = (seed * 48_271) % 2_147_483_647) % of;
  const status = () => ({ provisioningStatus: pick(2) === 0 ? 'enabled' : 'disabled' });
  const identity = () => world.store.read.devices.get('east', 'sensor-1');
  const changes: readonly (() => Promise<unknown>)[] = [
    () => world.putGroup('plant', { attestation: signedBy(root), ...status() }, any),
    () => world.putGroup('near', { attestation: signedBy(second), ...status() }, any),
    () => world.provisioning.enrollmentGroups.delete('dps', 'near', any),
    () => world.putIndividual('sensor-1', { attestation: holding(own), ...status() }, any),
    () => world.putIndividual('other', { attestation: holding(own), ...status() }, any),
    () => world.provisioning.individualEnrollments.delete('dps', 'sensor-1', any),
    () => world.provisioning.individualEnrollments.delete('dps', 'other', any),
    () => world.fleet.deprovision({ ...shutOut, device: own.pem }, actor),
    () => world.fleet.reinstate({ device: 'sensor-1' }, actor),
    () => world.provision(own, [second]),
    () => world.fleet.blocks.create({ selectors: [], certificate: second.pem, by: ['subject'], reason: 'another' }, actor),
    async () => {
      const { items } = await world.fleet.blocks.list({ limit: 50 });
      if (items.length > 0) await world.fleet.blocks.lift(items[pick(items.length)]!.id, actor);
    },
    async () => {
      const body = {
        deviceId: 'sensor-1',
        status: pick(2) === 0 ? 'enabled' : 'disabled',
        authentication: (await identity())?.authentication,
      };
      if (body.authentication !== undefined)
        await world.hub.registry.put('east', 'sensor-1', {
          body: { ...body, authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: own.certificate.sha256 } } },
          precondition: any,
        });
    },
  ];
  const told: { readonly at: Instant; readonly decisions: Explanation['decisions'] }[] = [];
  for (let step = 0; step < 60; step++) {
    await orRefused(changes[pick(changes.length)]!);
    const { decisions } = await explain(own.pem);
    told.push({ at: later(), decisions });
  }
  const kinds = new Set(told.flatMap(({ decisions }) => decisions.map(({ side, verdict }) => `${side} ${verdict}`)));
  expect(kinds.size).toBeGreaterThan(3);
  for (const [step, { at, decisions }] of told.entries()) {
    const was = await explain(own.pem, at);
    expect([step, was.decisions.map(plain)]).toEqual([step, decisions.map(plain)]);
  }
});

/** Ids of blocks tell when they were made, and generations of identities when they came: both are as they were. */
const plain = ({ side, id, verdict, trace }: Decision) => ({ side, id, verdict, trace });

/** Some changes cannot be made as things stand; then nothing is changed. */
async function orRefused(change: () => Promise<unknown>): Promise<void> {
  try {
    await change();
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
  }
}
