import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { hours } from '../../../src/kernel/clock.ts';
import { ecKey, make, noon } from '../../fixtures/pki/make-certificate.ts';
import { int, leaf, root } from '../../fixtures/pki/path-case.ts';
import { withSecondSignature } from '../../fixtures/pki/second-signature.ts';
import {
  any,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

const top = root();
const middle = int(top);
const device = leaf(middle, { subject: 'sensor-thl-002' });
const neighbour = leaf(middle, { subject: 'sensor-thl-001' });
const renewed = leaf(middle, { subject: 'sensor-thl-002', key: ecKey() });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const generationOf = async (deviceId: string): Promise<string> => (await world.hub.registry.get('east', deviceId)).generationId;
const record = () => world.provisioning.records.get('dps', 'sensor-thl-002');

describe('a registration', () => {
  test('is answered 202 first, and the poll has the result', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    const request = world.request(device);
    const first = await world.provisioning.registrations.register(request);
    expect(first).toEqual({
      pending: true,
      retryAfterSeconds: 2,
      body: { operationId: first.body.operationId, status: 'assigning' },
      trackingId: first.trackingId,
    });
    const { operationId } = first.body;
    const second = await world.provisioning.registrations.operationStatus({ ...request, operationId });
    const { etag } = await record();
    expect(second).toEqual({
      pending: false,
      body: {
        operationId,
        status: 'assigned',
        registrationState: {
          x509: {},
          registrationId: 'sensor-thl-002',
          createdDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
          assignedHub: hostOf('east'),
          deviceId: 'sensor-thl-002',
          status: 'assigned',
          substatus: 'initialAssignment',
          lastUpdatedDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
          etag: Buffer.from(etag ?? '').toString('base64'),
        },
      },
    });
  });

  test('makes an identity with the thumbprint of the leaf and the initial twin', async () => {
    const initialTwin = { tags: { site: 'thl' }, properties: { desired: { rate: 5 } } };
    await world.putGroup('factory', { attestation: signedBy(middle), initialTwin, capabilities: { iotEdge: true } });
    await world.provision(device);
    const identity = await world.hub.registry.get('east', 'sensor-thl-002');
    expect(identity.authentication).toMatchObject({ type: 'selfSigned', x509Thumbprint: { primaryThumbprint: device.certificate.sha256 } });
    expect(identity.capabilities).toEqual({ iotEdge: true });
    const twin = await world.hub.twins.get('east', 'sensor-thl-002');
    expect(twin.tags).toEqual({ site: 'thl' });
    expect(twin.properties.desired).toMatchObject({ rate: 5 });
  });

  test('of a device that is there refreshes the thumbprint and keeps twin and identity', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle), initialTwin: { tags: { site: 'thl' } } });
    await world.provision(device);
    await world.hub.twins.patch('east', 'sensor-thl-002', { body: { tags: { site: 'moved' } }, precondition: any });
    const generation = await generationOf('sensor-thl-002');
    world.clock.advance(hours(1));
    const again = await world.provision(renewed);
    expect(again.registrationState).toMatchObject({
      status: 'assigned',
      substatus: 'initialAssignment',
      createdDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
    });
    const identity = await world.hub.registry.get('east', 'sensor-thl-002');
    expect(identity.generationId).toBe(generation);
    expect(identity.authentication.x509Thumbprint.primaryThumbprint).toBe(renewed.certificate.sha256);
    expect((await world.hub.twins.get('east', 'sensor-thl-002')).tags).toEqual({ site: 'moved' });
  });

  test('in parallel leaves one identity and one record', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.provision(device)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['assigned']));
    expect((await world.hub.registry.list('east', { limit: 10 })).items).toHaveLength(1);
    expect((await world.provisioning.records.listByGroup('dps', 'factory', { limit: 10 })).items).toHaveLength(1);
  });

  test('keeps the spelling of the id that came first', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(device);
    const upper = leaf(middle, { subject: 'SENSOR-THL-002' });
    expect((await world.provision(upper)).registrationState).toMatchObject({
      registrationId: 'sensor-thl-002',
      deviceId: 'sensor-thl-002',
    });
    expect((await world.hub.registry.list('east', { limit: 10 })).items).toHaveLength(1);
  });

  test('takes the device id of its individual enrollment', async () => {
    await world.putIndividual('sensor-thl-002', { attestation: holding(device), deviceId: 'Pump-7' });
    expect((await world.provision(device)).registrationState).toMatchObject({ registrationId: 'sensor-thl-002', deviceId: 'Pump-7' });
    expect(await world.hub.registry.get('east', 'Pump-7')).toMatchObject({ status: 'enabled' });
  });

  test('without a linked hub ends as failed, which the poll and the record tell', async () => {
    await world.provisioning.instances.unlinkHub('dps', hostOf('east'));
    await world.putGroup('factory', { attestation: signedBy(middle) });
    const failed = await world.provision(device);
    expect(failed).toMatchObject({
      status: 'failed',
      registrationState: { status: 'failed', errorCode: 400208, errorMessage: 'IoT Hub not specified.' },
    });
    expect(await record()).toMatchObject({ status: 'failed', errorCode: 400208 });
  });

  test('at a hub that is linked but not there ends as failed, and leaves no identity', async () => {
    await world.provisioning.instances.unlinkHub('dps', hostOf('east'));
    const link = { hostName: 'gone.example.org', location: '', applyAllocationPolicy: true, allocationWeight: 1 };
    await world.provisioning.instances.linkHub('dps', link);
    await world.putGroup('factory', { attestation: signedBy(middle) });
    expect(await world.provision(device)).toMatchObject({ status: 'failed', registrationState: { errorCode: 400209 } });
  });
});

describe('S7: an individual enrollment that is disabled', () => {
  beforeEach(async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(device);
    await world.putIndividual('disallow-002', { attestation: holding(device), provisioningStatus: 'disabled' });
  });

  test('is found by the leaf, and the device gets a result without hub and device id', async () => {
    expect(await world.provisioning.registrations.register(world.request(device))).toEqual({
      pending: false,
      // It was registered before, so that its attempts are counted.
      retryAfterSeconds: 30,
      trackingId: expect.any(String),
      body: { operationId: '', status: 'disabled', registrationState: { registrationId: 'sensor-thl-002', status: 'disabled' } },
    });
    const shown = await record();
    expect(shown).toMatchObject({ status: 'disabled', registrationId: 'sensor-thl-002' });
    expect(Object.keys(shown)).not.toContain('assignedHub');
    expect(Object.keys(shown)).not.toContain('deviceId');
  });

  test('is not evaded by the second signature that anybody can compute from an ECDSA one', async () => {
    const disguised = withSecondSignature(device, middle);
    expect(disguised.certificate.sha256).not.toBe(device.certificate.sha256);
    expect(await world.provision(disguised)).toMatchObject({ operationId: '', status: 'disabled' });
  });

  test('leaves every other device of the group alone', async () => {
    expect(await world.provision(neighbour)).toMatchObject({ status: 'assigned' });
  });

  test('answers the poll of a registration that began before it', async () => {
    await world.provisioning.individualEnrollments.delete('dps', 'disallow-002', any);
    const request = world.request(device);
    const { operationId } = (await world.provisioning.registrations.register(request)).body;
    await world.putIndividual('disallow-002', { attestation: holding(device), provisioningStatus: 'disabled' });
    expect((await world.provisioning.registrations.operationStatus({ ...request, operationId })).body).toMatchObject({
      operationId: '',
      status: 'disabled',
    });
  });

  test('S11: enabled again it lets the device back in', async () => {
    await world.provision(device);
    await world.putIndividual('disallow-002', { attestation: holding(device), provisioningStatus: 'enabled' }, any);
    expect(await world.provision(device)).toMatchObject({
      status: 'assigned',
      registrationState: { deviceId: 'sensor-thl-002', assignedHub: hostOf('east') },
    });
  });

  test('S11: deleted it lets the device back in through the group, with a fresh identity', async () => {
    const before = await generationOf('sensor-thl-002');
    await world.provision(device);
    await world.hub.registry.delete('east', 'sensor-thl-002', any);
    world.clock.advance(1000);
    await world.provisioning.individualEnrollments.delete('dps', 'disallow-002', any);
    expect(await world.provision(device)).toMatchObject({ status: 'assigned', registrationState: { substatus: 'initialAssignment' } });
    expect(await generationOf('sensor-thl-002')).not.toBe(before);
    expect((await world.provisioning.records.listByGroup('dps', 'factory', { limit: 10 })).items).toMatchObject([
      { registrationId: 'sensor-thl-002', assignedHub: hostOf('east') },
    ]);
  });
});

describe('S12: groups', () => {
  test('a disabled group refuses all its devices with the status', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle), provisioningStatus: 'disabled' });
    expect(await world.provision(device)).toMatchObject({ operationId: '', status: 'disabled' });
    expect(await world.provision(neighbour)).toMatchObject({ operationId: '', status: 'disabled' });
  });

  test('a deleted group refuses all its devices with 401002', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(device);
    await world.provisioning.enrollmentGroups.delete('dps', 'factory', any);
    const refusal = await refusalOf(world.provision(device));
    expect(refusal.row).toMatchObject({ http: 401, code: 401002 });
  });

  test('a deleted intermediate group leaves the devices to the root group, the intermediate sent or uploaded', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.putGroup('all', { attestation: signedBy(top) });
    await world.provision(device);
    await world.provisioning.enrollmentGroups.delete('dps', 'factory', any);
    expect(await world.provision(device, [middle])).toMatchObject({ status: 'assigned' });
    await world.provisioning.caCertificates.put('dps', 'middle', {
      certificate: middle.pem,
      isVerified: false,
      precondition: { kind: 'absent' },
    });
    expect(await world.provision(neighbour)).toMatchObject({ status: 'assigned' });
  });

  test('the nearest issuer decides, also when it is disabled', async () => {
    await world.putGroup('all', { attestation: signedBy(top) });
    await world.putGroup('factory', { attestation: signedBy(middle), provisioningStatus: 'disabled' });
    expect(await world.provision(device, [middle])).toMatchObject({ status: 'disabled' });
  });
});

describe('a refusal', () => {
  test('keeps its reasons under the tracking id that the error carries', async () => {
    const stranger = make({ subject: 'stranger', key: ecKey() });
    const { trackingId, message, error } = await refusalOf(world.provision(stranger));
    expect({ error, message }).toEqual({ error: 'DpsUnauthorized', message: 'CA certificate not found' });
    const decision = await world.store.read.decisions.get(trackingId ?? '');
    expect(decision).toMatchObject({ registrationId: 'stranger', verdict: 'refuse', transport: 'https', trace: { verdict: 'refuse' } });
  });

  const cases = {
    'of an unknown id scope': [{ idScope: '0ne00000000' }, 'DpsUnauthorized', 'Unauthorized'],
    'of a registration id that is none': [{ registrationId: 'sensor thl' }, 'DpsBadRequest', 'registrationId'],
    'of a registration id that ends badly': [{ registrationId: 'sensor.' }, 'DpsBadRequest', 'registrationId'],
    'of a registration id that is too long': [{ registrationId: 'a'.repeat(129) }, 'DpsBadRequest', 'registrationId'],
    'of a body with another id': [{ body: { registrationId: 'other' } }, 'DpsBadRequest', 'registrationId in the body'],
    'of a body that is no object': [{ body: [1] }, 'DpsBadRequest', 'The body'],
    'of a certificate with another name': [{ registrationId: 'sensor-thl-001' }, 'DpsUnauthorized', 'common name'],
  } as const;
  for (const [name, [change, error, sentence]] of Object.entries(cases)) {
    test(name, async () => {
      await world.putGroup('factory', { attestation: signedBy(middle) });
      const refusal = await refusalOf(world.provisioning.registrations.register({ ...world.request(device), ...change }));
      expect(refusal.error).toBe(error);
      expect(refusal.message).toContain(sentence);
    });
  }

  test('leaves no record', async () => {
    await refusalOf(world.provision(device));
    expect((await refusalOf(record())).error).toBe('DpsRecordNotFound');
  });

  test('a stranger who meets a disabled entry is told so, and does not change the record of the device', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(device);
    await world.putIndividual('sensor-thl-002', { attestation: { type: 'symmetricKey' }, provisioningStatus: 'disabled' });
    const before = await record();
    expect(await world.provision(make({ subject: 'sensor-thl-002', key: ecKey() }))).toMatchObject({ status: 'disabled' });
    expect(await record()).toEqual(before);
    expect(await world.provision(device)).toMatchObject({ status: 'disabled' });
    expect(await record()).toMatchObject({ status: 'disabled' });
  });
});

describe('the body of a registration', () => {
  for (const body of [
    undefined,
    null,
    {},
    { payload: null },
    { payload: { a: [1] } },
    { payload: 7, registrationId: 'SENSOR-thl-002', tpm: {} },
  ] as const) {
    test(`may be ${JSON.stringify(body)}`, async () => {
      await world.putGroup('factory', { attestation: signedBy(middle) });
      const request = body === undefined ? world.request(device) : { ...world.request(device), body };
      expect((await world.provisioning.registrations.register(request)).pending).toBe(true);
    });
  }
});

describe('the poll', () => {
  test('does not know an operation that never was, nor one of another device', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(neighbour);
    const { operationId } = (await world.provisioning.registrations.register(world.request(device))).body;
    const poll = (made: typeof device, id: string) =>
      refusalOf(world.provisioning.registrations.operationStatus({ ...world.request(made), operationId: id }));
    for (const refusal of [await poll(device, '4.0.0'), await poll(neighbour, operationId)]) {
      expect({ code: refusal.row.code, message: refusal.message }).toEqual({ code: 404203, message: 'Operation not found.' });
    }
  });

  test('is refused to a stranger', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    const { operationId } = (await world.provisioning.registrations.register(world.request(device))).body;
    const stranger = world.request(make({ subject: 'sensor-thl-002', key: ecKey() }));
    expect((await refusalOf(world.provisioning.registrations.operationStatus({ ...stranger, operationId }))).error).toBe('DpsUnauthorized');
  });

  test('is refused once the certificate has expired', async () => {
    const brief = leaf(middle, { subject: 'sensor-thl-002', notAfter: noon + 1000 });
    await world.putGroup('factory', { attestation: signedBy(middle) });
    const { operationId } = (await world.provisioning.registrations.register(world.request(brief))).body;
    world.clock.advance(2000);
    expect((await refusalOf(world.provisioning.registrations.operationStatus({ ...world.request(brief), operationId }))).message).toBe(
      'Invalid certificate',
    );
  });
});

describe('the lookup', () => {
  test('returns the record as the device sees it', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    await world.provision(device);
    expect(await world.provisioning.registrations.lookup(world.request(device))).toMatchObject({
      status: 'assigned',
      assignedHub: hostOf('east'),
      x509: {},
    });
  });

  test('knows no device that never registered', async () => {
    await world.putGroup('factory', { attestation: signedBy(middle) });
    expect((await refusalOf(world.provisioning.registrations.lookup(world.request(device)))).error).toBe('DpsRecordNotFound');
  });
});
