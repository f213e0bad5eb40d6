import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { JsonObject } from '../../../src/kernel/json.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { int, leaf, root } from '../../fixtures/pki/path-case.ts';
import {
  any,
  etag,
  holding,
  hostOf,
  openProvisioningWorld,
  type ProvisioningWorld,
  refusalOf,
  signedBy,
} from '../../fixtures/provisioning-world.ts';

const top = root();
const middle = int(top);
const device = leaf(middle, { subject: 'dev-1' });
const other = leaf(middle, { subject: 'dev-1', key: ecKey() });

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const individuals = () => world.provisioning.individualEnrollments;
const groups = () => world.provisioning.enrollmentGroups;

describe('creating', () => {
  test('an individual enrollment fills in the defaults', async () => {
    const made = await world.putIndividual('dev-1', { attestation: holding(device) });
    expect(made).toEqual({
      registrationId: 'dev-1',
      attestation: { type: 'x509', x509: { clientCertificates: { primary: { info: infoOf(device) } } } },
      capabilities: { iotEdge: false },
      etag: expect.stringMatching(/^"[0-9a-f-]{36}"$/u),
      provisioningStatus: 'enabled',
      reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
      createdDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
      lastUpdatedDateTimeUtc: '2026-06-15T12:00:00.0000000Z',
    });
    expect(await individuals().get('dps', 'DEV-1')).toEqual(made);
  });

  test('as disabled is disabled', async () => {
    expect((await world.putIndividual('dev-1', { attestation: holding(device), provisioningStatus: 'disabled' })).provisioningStatus).toBe(
      'disabled',
    );
    expect((await individuals().get('dps', 'dev-1')).provisioningStatus).toBe('disabled');
    expect((await world.putGroup('g', { attestation: signedBy(top), provisioningStatus: 'disabled' })).provisioningStatus).toBe('disabled');
  });

  test('keeps everything that was given, and drops what is read-only', async () => {
    const body = {
      attestation: signedBy(top),
      capabilities: { iotEdge: true },
      initialTwin: { tags: {}, properties: { desired: {} } },
      reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false },
      allocationPolicy: 'geolatency',
      iotHubs: [hostOf('east')],
      etag: '"mine"',
      createdDateTimeUtc: '1999-01-01T00:00:00Z',
      credentialPolicyName: null,
      iotHubHostName: null,
    };
    const made = await world.putGroup('g', body);
    const { capabilities, initialTwin, reprovisionPolicy, iotHubs } = body;
    expect(made).toMatchObject({
      enrollmentGroupId: 'g',
      capabilities,
      initialTwin,
      reprovisionPolicy,
      iotHubs,
      allocationPolicy: 'geoLatency',
    });
    expect(made.etag).not.toBe('"mine"');
    expect(made.createdDateTimeUtc).toBe('2026-06-15T12:00:00.0000000Z');
  });

  for (const [form, text] of Object.entries({
    PEM: device.pem,
    'base64 of DER': device.der.toString('base64'),
    'base64 of PEM': Buffer.from(device.pem).toString('base64'),
  })) {
    test(`takes a certificate as ${form}`, async () => {
      const attestation = { type: 'x509', x509: { clientCertificates: { primary: { certificate: text } } } };
      expect((await world.putIndividual('dev-1', { attestation })).attestation).toMatchObject({
        x509: { clientCertificates: { primary: { info: { sha256Thumbprint: device.certificate.sha256 } } } },
      });
    });
  }
});

describe('entity tags', () => {
  const body = { attestation: holding(device) };

  test('without If-Match an enrollment that exists is not touched: 409201', async () => {
    await world.putIndividual('dev-1', body);
    const refusal = await refusalOf(world.putIndividual('DEV-1', body));
    expect({ code: refusal.row.code, message: refusal.message }).toEqual({ code: 409201, message: 'Enrollment already exists' });
  });

  test('with the current tag it is updated, and gets a new one', async () => {
    const made = await world.putIndividual('dev-1', body);
    world.clock.advance(1000);
    const changed = await world.putIndividual('dev-1', { ...body, deviceId: 'x' }, etag(made.etag));
    expect(changed).toMatchObject({
      deviceId: 'x',
      createdDateTimeUtc: made.createdDateTimeUtc,
      lastUpdatedDateTimeUtc: '2026-06-15T12:00:01.0000000Z',
    });
    expect(changed.etag).not.toBe(made.etag);
  });

  test('with a stale tag it is refused, for update and delete', async () => {
    const made = await world.putIndividual('dev-1', body);
    await world.putIndividual('dev-1', body, any);
    expect((await refusalOf(world.putIndividual('dev-1', body, etag(made.etag)))).row.code).toBe(412001);
    expect((await refusalOf(individuals().delete('dps', 'dev-1', etag(made.etag)))).row.code).toBe(412001);
  });

  test('with * it is created or updated', async () => {
    await world.putIndividual('dev-1', body, any);
    expect((await world.putIndividual('dev-1', { ...body, deviceId: 'x' }, any)).deviceId).toBe('x');
  });

  test('with a tag on one that is missing, and reading and deleting it: 404201', async () => {
    const works = [
      () => world.putIndividual('dev-1', body, etag('"x"')),
      () => individuals().get('dps', 'dev-1'),
      () => individuals().attestation('dps', 'dev-1'),
      () => individuals().delete('dps', 'dev-1', any),
    ];
    for (const work of works) expect((await refusalOf(work())).row.code).toBe(404201);
  });

  test('of two that change the same state one loses', async () => {
    const made = await world.putIndividual('dev-1', body);
    const results = await Promise.allSettled(
      ['a', 'b'].map((deviceId) => world.putIndividual('dev-1', { ...body, deviceId }, etag(made.etag))),
    );
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('updating', () => {
  test('with the info alone keeps the certificate that has this thumbprint, in either slot', async () => {
    const attestation = {
      type: 'x509',
      x509: { clientCertificates: { primary: { certificate: device.pem }, secondary: { certificate: other.pem } } },
    };
    const made = await world.putIndividual('dev-1', { attestation });
    const shown = { type: 'x509', x509: { clientCertificates: { primary: { info: infoOf(other), certificate: null }, secondary: null } } };
    const changed = await world.putIndividual('dev-1', { attestation: shown }, etag(made.etag));
    expect(changed.attestation).toEqual({ type: 'x509', x509: { clientCertificates: { primary: { info: infoOf(other) } } } });
    const gone = { type: 'x509', x509: { clientCertificates: { primary: { info: infoOf(device) } } } };
    expect((await refusalOf(world.putIndividual('dev-1', { attestation: gone }, any))).message).toContain('does not have');
  });

  test('what a client read may be put back as it is', async () => {
    const made = await world.putGroup('g', { attestation: signedBy(top), initialTwin: { tags: { a: 1 } } });
    const read = await groups().get('dps', 'g');
    const put = await groups().put('dps', 'g', { body: JSON.parse(JSON.stringify(read)), precondition: etag(made.etag) });
    expect({ ...put, etag: '' }).toEqual({ ...read, etag: '' });
  });

  test('without a provisioning status keeps a deny', async () => {
    await world.putIndividual('dev-1', { attestation: holding(device), provisioningStatus: 'disabled' });
    expect((await world.putIndividual('dev-1', { attestation: holding(device) }, any)).provisioningStatus).toBe('disabled');
  });
});

describe('symmetric keys', () => {
  test('are made when left out, shown by PUT and attestationmechanism, hidden by GET and lists, kept by an update', async () => {
    const made = await world.putIndividual('dev-1', { attestation: { type: 'symmetricKey', symmetricKey: {} } });
    if (made.attestation.type !== 'symmetricKey') throw new Error('another type');
    const { primaryKey = '', secondaryKey = '' } = made.attestation.symmetricKey ?? {};
    expect(Buffer.from(primaryKey, 'base64')).toHaveLength(64);
    expect(secondaryKey).not.toBe(primaryKey);
    expect((await individuals().get('dps', 'dev-1')).attestation).toEqual({ type: 'symmetricKey' });
    expect((await individuals().list('dps', { limit: 5 })).items[0]?.attestation).toEqual({ type: 'symmetricKey' });
    expect(await individuals().attestation('dps', 'dev-1')).toEqual(made.attestation);
    expect((await world.putIndividual('dev-1', { attestation: { type: 'symmetricKey' } }, any)).attestation).toEqual(made.attestation);
  });
});

test('an individual enrollment shows the state of its registration, a list does not', async () => {
  await world.putIndividual('dev-1', { attestation: holding(device) });
  await world.provision(device);
  const { registrationState } = await individuals().get('dps', 'dev-1');
  expect(registrationState).toMatchObject({ registrationId: 'dev-1', status: 'assigned', assignedHub: hostOf('east') });
  expect(registrationState?.etag).toMatch(/^".*"$/u);
  expect(Object.keys((await individuals().list('dps', { limit: 5 })).items[0] ?? {})).not.toContain('registrationState');
});

test('lists are ordered and paged', async () => {
  for (const id of ['b', 'c', 'a']) await world.putGroup(id, { attestation: signedBy(top) });
  const first = await groups().list('dps', { limit: 2 });
  expect(first.items.map((item) => item.enrollmentGroupId)).toEqual(['a', 'b']);
  const second = await groups().list('dps', { limit: 2, after: first.next ?? '' });
  expect([second.items.map((item) => item.enrollmentGroupId), second.next]).toEqual([['c'], undefined]);
});

describe('refused with a sentence that names the field', () => {
  const x509 = (value: JsonObject): JsonObject => ({ attestation: { type: 'x509', x509: value } });
  const twoPems = `${middle.pem}${top.pem}`;
  const deep = JSON.parse(`${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`);
  const ofGroups: Readonly<Record<string, readonly [body: JsonObject, sentence: string]>> = {
    'without an attestation': [{}, 'attestation is not valid'],
    'with attestation none': [{ attestation: { type: 'none' } }, 'attestation.type is not valid: use one of'],
    'with a client certificate': [
      x509({ clientCertificates: { primary: { certificate: top.pem } } }),
      'exactly one of signingCertificates and caReferences',
    ],
    'with two forms': [
      x509({ signingCertificates: { primary: { certificate: top.pem } }, caReferences: { primary: 'x' } }),
      'exactly one of',
    ],
    'without any form': [x509({}), 'exactly one of'],
    'with a form that is empty': [x509({ signingCertificates: {} }), 'has no certificate'],
    'with a certificate that is no CA': [signedAs(device.pem), 'is not a CA certificate'],
    'with a certificate that is not one': [signedAs('hello'), 'attestation.x509.signingCertificates.primary.certificate cannot be read'],
    'with a chain': [signedAs(twoPems), 'holds 2 certificates'],
    'with a CA name that does not exist': [x509({ caReferences: { primary: 'nope' } }), 'attestation.x509.caReferences.primary'],
    'with a TPM': [{ attestation: { type: 'tpm', tpm: { endorsementKey: 'AAAA' } } }, 'attestation.type'],
    'with a type and the parts of another': [{ attestation: { type: 'symmetricKey', x509: {} } }, 'attestation.x509 does not go with'],
    'with a key that is too short': [
      { attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: 'AAAA' } } },
      'attestation.symmetricKey.primaryKey',
    ],
    'with a hub that is not linked': [{ attestation: signedBy(top), iotHubs: ['nope.example'] }, 'iotHubs.0'],
    'with a policy that does not exist': [
      { attestation: signedBy(top), allocationPolicy: 'random' },
      'allocationPolicy is not valid: use one of',
    ],
    'with custom allocation and no webhook': [{ attestation: signedBy(top), allocationPolicy: 'custom' }, 'customAllocationDefinition'],
    'with a status that does not exist': [
      { attestation: signedBy(top), provisioningStatus: 'off' },
      "provisioningStatus is not valid: use one of 'enabled', 'disabled'",
    ],
    'with half a reprovision policy': [
      { attestation: signedBy(top), reprovisionPolicy: { updateHubAssignment: true } },
      'reprovisionPolicy.migrateDeviceData',
    ],
    'with another id': [{ attestation: signedBy(top), enrollmentGroupId: 'other' }, 'enrollmentGroupId in the body'],
    'with tags that are no object': [
      { attestation: signedBy(top), initialTwin: { tags: [1] } },
      'initialTwin.tags is not valid: it must be a JSON object',
    ],
    'with tags that are nested without end': [
      { attestation: signedBy(top), initialTwin: { tags: deep } },
      'initialTwin.tags is not valid: it is nested',
    ],
    'with tags that are too large': [
      { attestation: signedBy(top), initialTwin: { tags: { a: 'x'.repeat(9000) } } },
      'initialTwin.tags is not valid: it is larger',
    ],
  };
  for (const [name, [body, sentence]] of Object.entries(ofGroups)) {
    test(`a group ${name}`, async () => {
      const refusal = await refusalOf(world.putGroup('g', body));
      expect(refusal.error).toBe('DpsBadRequest');
      expect(refusal.message).toContain(sentence);
    });
  }

  test('an individual enrollment with a signing certificate', async () => {
    expect((await refusalOf(world.putIndividual('dev-1', { attestation: signedBy(top) }))).message).toContain(
      'exactly one of clientCertificates and caReferences',
    );
  });

  test('an individual enrollment with a device id that no hub takes', async () => {
    expect((await refusalOf(world.putIndividual('dev-1', { attestation: holding(device), deviceId: 'a b' }))).message).toContain(
      'deviceId is not valid',
    );
  });

  test('an id that is none', async () => {
    expect((await refusalOf(world.putGroup('a/b', { attestation: signedBy(top) }))).message).toContain('enrollmentGroupId is not valid');
  });

  test('a body that is no object', async () => {
    expect((await refusalOf(groups().put('dps', 'g', { body: 'text', precondition: any }))).message).toBe(
      'The body is not valid: it must be a JSON object.',
    );
  });

  function signedAs(certificate: string): JsonObject {
    return x509({ signingCertificates: { primary: { certificate } } });
  }
});

test('a self-signed client certificate may call itself a CA, as openssl makes them', async () => {
  const selfMade = make({ subject: 'dev-1', key: ecKey(), ca: true });
  await world.putIndividual('dev-1', { attestation: holding(selfMade) });
  expect(await world.provision(selfMade)).toMatchObject({ status: 'assigned' });
});

function infoOf(made: typeof device): JsonObject {
  return {
    subjectName: made.certificate.subject,
    sha1Thumbprint: made.certificate.sha1,
    sha256Thumbprint: made.certificate.sha256,
    issuerName: made.certificate.issuer,
    notBeforeUtc: new Date(made.certificate.notBefore).toISOString().replace('Z', '0000Z'),
    notAfterUtc: new Date(made.certificate.notAfter).toISOString().replace('Z', '0000Z'),
    serialNumber: made.certificate.serialNumber,
    version: 3,
  };
}
