import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';
import { hours, minutes } from '../../../src/kernel/clock.ts';
import type { JsonObject } from '../../../src/kernel/json.ts';
import { leaf, root } from '../../fixtures/pki/path-case.ts';
import { any, hostOf, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

const id = 'sensor-1';
const keyOf = (n: number): string => Buffer.alloc(64, n).toString('base64');
const keys = (primary: number, secondary: number): JsonObject => ({
  attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: keyOf(primary), secondaryKey: keyOf(secondary) } },
});
const derived = (n: number, of = id): string => deriveDeviceKey(Buffer.from(keyOf(n), 'base64'), of);

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const provision = (key: string) => world.provisionRequest(world.keyRequest(id, key));
const identity = async () => (await world.hub.registry.get('east', id)).authentication;

/** The reasons that were kept for a refusal. */
async function reasonsOf(work: Promise<unknown>): Promise<readonly string[]> {
  const { trackingId } = await refusalOf(work);
  const decision = await world.store.read.decisions.get(trackingId ?? '');
  if (decision === undefined) throw new Error('no reasons were kept');
  return (decision.trace as unknown as { steps: readonly { reason: string }[] }).steps.map(({ reason }) => reason);
}

describe('an individual enrollment with a key', () => {
  test('gives the hub its keys, and the record no leaf', async () => {
    await world.putIndividual(id, keys(1, 2));
    const result = await provision(keyOf(2));
    expect(result).toMatchObject({ status: 'assigned', registrationState: { assignedHub: hostOf('east'), deviceId: id } });
    expect(result.registrationState?.symmetricKey).toEqual({});
    expect(result.registrationState).not.toHaveProperty('x509');
    expect(await identity()).toMatchObject({ type: 'sas', symmetricKey: { primaryKey: keyOf(1), secondaryKey: keyOf(2) } });
    expect(await world.store.read.registrations.get('dps', id)).not.toHaveProperty('leafSha256');
  });

  test('with new keys refuses the old ones at once, and the next registration renews those at the hub', async () => {
    await world.putIndividual(id, keys(1, 2));
    await provision(keyOf(1));
    await world.putIndividual(id, keys(7, 8), any);
    expect((await refusalOf(provision(keyOf(1)))).row.code).toBe(401002);
    await provision(keyOf(7));
    expect(await identity()).toMatchObject({ symmetricKey: { primaryKey: keyOf(7), secondaryKey: keyOf(8) } });
  });

  test('takes over from a certificate, and the hub forgets the thumbprint', async () => {
    const top = root();
    await world.putGroup('factory', { attestation: signedBy(top) });
    await world.provision(leaf(top, { subject: id }));
    await world.putIndividual(id, keys(1, 2));
    await provision(keyOf(1));
    expect(await identity()).toMatchObject({ type: 'sas', x509Thumbprint: { primaryThumbprint: null } });
    expect(await world.store.read.registrations.get('dps', id)).not.toHaveProperty('leafSha256');
  });

  test('disabled, is told in the result and in the record', async () => {
    await world.putIndividual(id, { ...keys(1, 2), provisioningStatus: 'disabled' });
    expect(await provision(keyOf(1))).toEqual({
      operationId: '',
      status: 'disabled',
      registrationState: { registrationId: id, status: 'disabled' },
    });
    expect(await world.provisioning.records.get('dps', id)).toMatchObject({ status: 'disabled' });
  });

  test('disabled, tells a stranger the same, and no record of it', async () => {
    await world.putIndividual(id, { ...keys(1, 2), provisioningStatus: 'disabled' });
    expect(await provision(keyOf(9))).toMatchObject({ status: 'disabled' });
    expect((await refusalOf(world.provisioning.records.get('dps', id))).error).toBe('DpsRecordNotFound');
  });
});

describe('a group with a key', () => {
  beforeEach(() => world.putGroup('factory', { ...keys(3, 4), initialTwin: { tags: { site: 'thl' } } }));

  test('gives the hub the derived keys, and the result its name', async () => {
    const result = await provision(derived(3));
    expect(result.registrationState?.symmetricKey).toEqual({ enrollmentGroupId: 'factory' });
    expect(await identity()).toMatchObject({ type: 'sas', symmetricKey: { primaryKey: derived(3), secondaryKey: derived(4) } });
    expect((await world.hub.twins.get('east', id)).tags).toEqual({ site: 'thl' });
    expect((await world.provisioning.records.listByGroup('dps', 'factory', { limit: 5 })).items).toMatchObject([{ registrationId: id }]);
  });

  test('disabled, tells its devices so, and those of others go on', async () => {
    await world.putGroup('office', keys(5, 6));
    await provision(derived(3));
    await world.putGroup('factory', { ...keys(3, 4), provisioningStatus: 'disabled' }, any);
    expect(await provision(derived(3))).toMatchObject({ status: 'disabled' });
    expect(await world.provisioning.records.get('dps', id)).toMatchObject({ status: 'disabled' });
    expect(await provision(derived(5))).toMatchObject({ status: 'assigned' });
  });

  test('deleted, lets nobody in any more', async () => {
    await provision(derived(3));
    await world.provisioning.enrollmentGroups.delete('dps', 'factory', any);
    expect((await refusalOf(provision(derived(3)))).row.code).toBe(401002);
  });

  test('with a rotated key refuses what was derived from the old one', async () => {
    await provision(derived(3));
    await world.putGroup('factory', keys(7, 4), any);
    expect((await refusalOf(provision(derived(3)))).row.code).toBe(401002);
    expect(await provision(derived(4))).toMatchObject({ status: 'assigned' });
    expect(await identity()).toMatchObject({ symmetricKey: { primaryKey: derived(7), secondaryKey: derived(4) } });
  });

  test('that a device is registered with is tried first', async () => {
    for (const [at, name] of ['a', 'b', 'y', 'z'].entries()) await world.putGroup(name, keys(20 + at, 30 + at));
    await provision(derived(3));
    const request = world.keyRequest(id, derived(3));
    const { operationId } = (await world.provisioning.registrations.register(request)).body;
    await world.provisioning.registrations.operationStatus({ ...request, operationId });
    // The group that comes first when nothing is known of the device comes second now.
    expect(await reasonsOf(provision(keyOf(20)))).toEqual([
      'sas',
      'equal',
      'token-signature',
      'group-key-used-directly',
      'token-signature',
      'token-signature',
      'token-signature',
    ]);
  });
});

describe('a refusal by token', () => {
  const register = (sasToken: string) =>
    world.provisioning.registrations.register({ ...world.keyRequest(id, keyOf(1)), credentials: { certificates: [], sasToken } });

  test('says why in the trace, and the same to every device', async () => {
    await world.putIndividual(id, keys(1, 2));
    await world.putGroup('factory', keys(3, 4));
    const now = world.clock.now();
    const cases: Readonly<Record<string, string>> = {
      'unreadable-token': 'SharedAccessSignature sr=a',
      'token-other-id': world.token('sensor-2', keyOf(1)),
      'token-other-scope': world.token(id, keyOf(1)).replace(world.idScope, '0ne0000BEEF'),
      'token-signature': world.token(id, keyOf(9)),
      'token-expired': world.token(id, keyOf(1), (now - minutes(6)) as typeof now),
      'no-credential': '',
    };
    for (const [reason, token] of Object.entries(cases)) {
      const refusal = await refusalOf(register(token));
      expect({ reason, code: refusal.row.code, message: refusal.message }).toEqual({ reason, code: 401002, message: 'Unauthorized' });
      expect((await reasonsOf(register(token))).at(-1)).toBe(reason);
    }
    expect(JSON.stringify(world.log)).not.toMatch(/sig=/u);
  });

  test('the poll is refused once the token has ended, five minutes of patience included', async () => {
    await world.putIndividual(id, keys(1, 2));
    const request = world.keyRequest(id, keyOf(1));
    const { operationId } = (await world.provisioning.registrations.register(request)).body;
    const poll = () => world.provisioning.registrations.operationStatus({ ...request, operationId });
    world.clock.advance(hours(1) + minutes(5));
    expect((await poll()).body.status).toBe('assigned');
    world.clock.advance(1000);
    expect((await refusalOf(poll())).row.code).toBe(401002);
  });
});
