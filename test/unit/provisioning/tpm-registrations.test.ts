import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { deriveDeviceKey } from '../../../src/access/device-key.ts';
import { hours, minutes } from '../../../src/kernel/clock.ts';
import type { DeviceRequest, RegisterRequest } from '../../../src/provisioning/service.ts';
import { tpmDeviceKeys } from '../../../src/tpm/device-keys.ts';
import { openProvisioningWorld, type ProvisioningWorld, refusalOf } from '../../fixtures/provisioning-world.ts';
import { endorsementKeyFields, renderStorageKey, storageRootKeyFields } from '../../fixtures/storage-key.ts';

const id = 'pump-1';
const endorsementKey = renderStorageKey(endorsementKeyFields());
const storageRootKey = renderStorageKey(storageRootKeyFields());
const strangeRoot = renderStorageKey(storageRootKeyFields());
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const shown = { endorsementKey: base64(endorsementKey), storageRootKey: base64(storageRootKey) };
const enrolled = (tpm: object) => ({ attestation: { type: 'tpm', tpm: { ...tpm } } });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const request = (credentials: Partial<DeviceRequest['credentials']> = {}, body?: RegisterRequest['body']): RegisterRequest => ({
  idScope: world.idScope,
  registrationId: id,
  credentials: { certificates: [], ...credentials },
  peer: { transport: 'https', remoteAddress: '192.0.2.1' },
  ...(body === undefined ? {} : { body }),
});
const challenge = (tpm: Record<string, string> = shown) => world.provisioning.tpmChallenges.challenge(request({}, { tpm }));

/** What the TPM with these keys opens; the test with a real one is elsewhere. */
async function opened(root = storageRootKey) {
  const secret = await world.store.read.tpm.secret('dps');
  if (secret === undefined) throw new Error('no TPM was challenged yet');
  return tpmDeviceKeys(secret, { registrationId: id, endorsementKey, storageRootKey: root });
}

const withToken = async (key?: string): Promise<RegisterRequest> =>
  request({ sasToken: world.token(id, key ?? (await opened()).registration) });

async function reasonOf(work: Promise<unknown>): Promise<string | undefined> {
  const { trackingId } = await refusalOf(work);
  const decision = await world.store.read.decisions.get(trackingId ?? '');
  if (decision === undefined) throw new Error('no reasons were kept');
  return (decision.trace as unknown as { steps: readonly { reason: string }[] }).steps.at(-1)?.reason;
}

describe('the challenge', () => {
  test('seals a key for a device that is enrolled', async () => {
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    expect(await challenge()).toEqual({
      kind: 'challenge',
      authenticationKey: expect.stringMatching(/^[A-Za-z0-9+/=]+$/u),
      keyName: 'registration',
      trackingId: expect.any(String),
    });
  });

  test('is never the same, and the key in it always', async () => {
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    const [first, second] = [await challenge(), await challenge()];
    expect(first).not.toMatchObject({ authenticationKey: (second as { authenticationKey: string }).authenticationKey });
  });

  test('takes the storage root key from the enrollment where the device shows none', async () => {
    await world.putIndividual(id, enrolled(shown));
    expect(await challenge({ endorsementKey: shown.endorsementKey })).toMatchObject({ kind: 'challenge' });
  });

  test('is refused with a reason of its own each', async () => {
    expect(await refusalOf(challenge())).toMatchObject({ error: 'DpsEnrollmentNotFound', row: { code: 404201 } });
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    const root = base64(strangeRoot);
    expect(await reasonOf(challenge({ ...shown, endorsementKey: root }))).toBe('tpm-other-endorsement-key');
    expect(await reasonOf(challenge({ ...shown, endorsementKey: 'AAAA' }))).toBe('unreadable-tpm');
    expect(await reasonOf(challenge({ endorsementKey: shown.endorsementKey }))).toBe('tpm-no-storage-root-key');
    await world.putIndividual(id, enrolled(shown), { kind: 'any' });
    expect(await reasonOf(challenge({ ...shown, storageRootKey: root }))).toBe('tpm-other-storage-root-key');
    await world.putIndividual(id, enrolled({ endorsementKey: 'AAAA' }), { kind: 'any' });
    expect(await reasonOf(challenge())).toBe('tpm-enrolled-key');
    await world.putIndividual(id, { attestation: { type: 'symmetricKey' } }, { kind: 'any' });
    expect(await reasonOf(challenge())).toBe('credential-mismatch');
  });

  test('remembers the latest four storage root keys of a device', async () => {
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    for (let n = 0; n < 6; n += 1) {
      world.clock.advance(1000);
      await challenge({ ...shown, storageRootKey: base64(renderStorageKey(storageRootKeyFields())) });
    }
    expect(await world.store.read.tpm.storageRootKeys('dps', id)).toHaveLength(4);
  });
});

describe('a challenge over AMQP', () => {
  const sealed = (over: Partial<Parameters<typeof world.provisioning.tpmChallenges.sealedKey>[0]> = {}) =>
    world.provisioning.tpmChallenges.sealedKey({
      idScope: world.idScope,
      registrationId: id,
      endorsementKey,
      storageRootKey,
      peer: { transport: 'amqp', remoteAddress: '192.0.2.1' },
      ...over,
    });
  const filter = (ipMask: string) =>
    world.provisioning.instances.update('dps', {
      ipFilterRules: [{ filterName: 'away', action: 'Reject', ipMask, target: 'deviceApi' }],
      precondition: { kind: 'any' },
    });

  test('is answered whether the device is enrolled or not', async () => {
    expect((await sealed()).length).toBeGreaterThan(100);
  });

  test('keeps to what holds over HTTPS: the alphabet of ids, the id scope and the IP filter', async () => {
    expect((await refusalOf(sealed({ registrationId: 'pump 1' }))).error).toBe('DpsBadRequest');
    expect(await reasonOf(sealed({ idScope: '0ne000BEEF' }))).toBe('unknown-id-scope');
    await filter('192.0.2.0/24');
    expect(await reasonOf(sealed())).toBe('ip-rejected');
    expect(await reasonOf(challenge())).toBe('ip-rejected');
    expect((await sealed({ peer: { transport: 'amqp', remoteAddress: '198.51.100.1' } })).length).toBeGreaterThan(100);
  });

  test('counts as a registration on both wires, once the device is enrolled', async () => {
    const limited = await openProvisioningWorld({ quotas: { registrationsPerMinute: 3 } });
    await world.close();
    world = limited;
    for (let n = 0; n < 5; n += 1) await sealed();
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    await sealed();
    await challenge();
    expect(await world.provisioning.registrations.register(await withToken())).toMatchObject({ pending: true });
    for (const refused of [sealed, challenge, async () => world.provisioning.registrations.register(await withToken())]) {
      expect((await refusalOf(refused())).error).toBe('Throttled');
    }
    expect(await reasonOf(challenge())).toBe('throttled');
  });
});

describe('the registration', () => {
  beforeEach(async () => {
    await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
    await challenge();
  });

  test('with a token signed by the sealed key gives the hub a key of its own, sealed for the device', async () => {
    const result = await world.provisionRequest(await withToken());
    expect(result).toMatchObject({
      status: 'assigned',
      registrationState: { deviceId: id, tpm: { authenticationKey: expect.any(String) } },
    });
    expect(result.registrationState).not.toHaveProperty('symmetricKey');
    const { hubPrimary, hubSecondary, registration } = await opened();
    const { authentication } = await world.hub.registry.get('east', id);
    expect(authentication).toMatchObject({ type: 'sas', symmetricKey: { primaryKey: hubPrimary, secondaryKey: hubSecondary } });
    expect(hubPrimary).not.toBe(registration);
  });

  test('goes on after a restart, without the public keys, as IoT Edge sends it', async () => {
    const restarted = await world.reopen();
    const asked = await withToken();
    const { body } = await restarted.registrations.register(asked);
    const polled = await restarted.registrations.operationStatus({ ...asked, operationId: body.operationId });
    expect(polled.body.status).toBe('assigned');
  });

  test('is not disturbed by others who ask for challenges in its name', async () => {
    await challenge({ ...shown, storageRootKey: base64(strangeRoot) });
    expect(await world.provisionRequest(await withToken())).toMatchObject({ status: 'assigned' });
    expect(await reasonOf(world.provisionRequest(await withToken((await opened(strangeRoot)).hubPrimary)))).toBe('token-signature');
  });

  test('finds the root that it has proven, however many others asked for challenges in its name', async () => {
    const roots = Array.from({ length: 4 }, () => base64(renderStorageKey(storageRootKeyFields())));
    const strangers = async () => {
      for (const root of roots) {
        world.clock.advance(1000);
        await challenge({ ...shown, storageRootKey: root });
      }
    };
    expect(await world.provisionRequest(await withToken())).toMatchObject({ status: 'assigned' });
    await strangers();
    expect(await world.provisionRequest(await withToken())).toMatchObject({ status: 'assigned' });
    // The TPM was cleared: the newest that was proven counts.
    world.clock.advance(1000);
    await challenge({ ...shown, storageRootKey: base64(strangeRoot) });
    expect(await world.provisionRequest(await withToken((await opened(strangeRoot)).registration))).toMatchObject({ status: 'assigned' });
    await strangers();
    expect(await world.provisionRequest(await withToken((await opened(strangeRoot)).registration))).toMatchObject({ status: 'assigned' });
    expect(await world.store.read.tpm.storageRootKeys('dps', id)).toHaveLength(5);
  });

  test('is refused with a reason of its own each', async () => {
    const { registration, hubPrimary } = await opened();
    const register = (asked: RegisterRequest) => world.provisioning.registrations.register(asked);
    expect(await reasonOf(register(await withToken(hubPrimary)))).toBe('token-signature');
    const ended = (world.clock.now() - minutes(6)) as ReturnType<typeof world.clock.now>;
    expect(await reasonOf(register(request({ sasToken: world.token(id, registration, ended) })))).toBe('token-expired');
    expect(await reasonOf(register(request({}, { tpm: shown })))).toBe('no-credential');
    await world.putIndividual(id, enrolled({ endorsementKey: base64(strangeRoot) }), { kind: 'any' });
    expect(await reasonOf(register(await withToken()))).toBe('token-signature');
    expect(await reasonOf(register({ ...(await withToken()), body: { tpm: shown } }))).toBe('tpm-other-endorsement-key');
  });

  test('of a TPM is never let in by a group, and a token alone not without a challenge', async () => {
    await world.provisioning.individualEnrollments.delete('dps', id, { kind: 'any' });
    const primaryKey = Buffer.alloc(64, 3).toString('base64');
    await world.putGroup('factory', { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey: primaryKey } } });
    const derived = deriveDeviceKey(Buffer.alloc(64, 3), id);
    const asked = { ...request({ sasToken: world.token(id, derived) }), body: { tpm: shown } };
    expect((await refusalOf(world.provisioning.registrations.register(asked))).row.code).toBe(404201);
    await world.putIndividual('pump-2', enrolled({ endorsementKey: shown.endorsementKey }));
    const other = { ...request({ sasToken: world.token('pump-2', derived) }), registrationId: 'pump-2' };
    expect(await reasonOf(world.provisioning.registrations.register(other))).toBe('tpm-not-challenged');
  });

  test('of a disabled device is told after it has proven itself, and recorded', async () => {
    await world.putIndividual(
      id,
      { ...enrolled({ endorsementKey: shown.endorsementKey }), provisioningStatus: 'disabled' },
      { kind: 'any' },
    );
    expect(await challenge()).toMatchObject({ kind: 'challenge' });
    expect(await world.provisionRequest(await withToken())).toMatchObject({ operationId: '', status: 'disabled' });
    expect(await world.provisioning.records.get('dps', id)).toMatchObject({ status: 'disabled' });
  });

  test('of a device that an entry of another kind disables is told at once', async () => {
    await world.putIndividual(id, { attestation: { type: 'symmetricKey' }, provisioningStatus: 'disabled' }, { kind: 'any' });
    expect(await challenge()).toMatchObject({ kind: 'disabled', body: { status: 'disabled' } });
  });

  test('leaves no key in the log or the trace', async () => {
    await world.provisionRequest(await withToken());
    const { registration, hubPrimary, hubSecondary } = await opened();
    const told = JSON.stringify(world.log);
    for (const key of [registration, hubPrimary, hubSecondary]) expect(told).not.toContain(key);
  });
});

test('what challenges left is forgotten after a day', async () => {
  await world.putIndividual(id, enrolled({ endorsementKey: shown.endorsementKey }));
  await world.provisioning.recover();
  await challenge();
  world.clock.advance(hours(24));
  await new Promise((resolve) => setImmediate(resolve));
  expect(await world.store.read.tpm.storageRootKeys('dps', id)).toHaveLength(1);
  await expect
    .poll(async () => {
      world.clock.advance(hours(1));
      return (await world.store.read.tpm.storageRootKeys('dps', id)).length;
    })
    .toBe(0);
});
