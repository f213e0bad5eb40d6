import { beforeEach, describe, expect, test } from 'vitest';

import { errorTable } from '../../../src/kernel/error-table.ts';
import { sequence } from '../../fixtures/pki/der-writer.ts';
import { extension, generalName, nameConstraints } from '../../fixtures/pki/extension.ts';
import { ecKey, type Made, make, name, noon } from '../../fixtures/pki/make-certificate.ts';
import { type Case, four, leaf, otherKey, root, three } from '../../fixtures/pki/path-case.ts';
import { holding, openProvisioningWorld, type ProvisioningWorld, refusalOf, signedBy } from '../../fixtures/provisioning-world.ts';

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
  return () => world.close();
});

const actor = { by: { kind: 'operator', name: 'operator' } } as const;
const pem = (made: Made, others: readonly Made[] = []): string => [made, ...others].map((one) => one.pem).join('');

/** Every way in which a path breaks, as the validation's own table has them. */
const broken: Readonly<Record<string, () => Case>> = {
  expired: () => three({ leaf: { notAfter: noon - 1000 } }),
  'not-yet-valid': () => three({ int: { notBefore: noon + 1000 } }),
  'not-a-ca': () => three({ int: { ca: false } }),
  'path-length': () => four({ root: { pathLength: 0 } }),
  'key-usage': () => three({ int: { usages: ['digitalSignature'] } }),
  'name-constraints': () => three({ int: { extensions: [nameConstraints({ permitted: [generalName.directory(name('other'))] })] } }),
  'unknown-critical-extension': () => three({ leaf: { extensions: [extension('1.2.3.4', sequence(), true)] } }),
  'weak-algorithm': () => three({ leaf: { algorithm: 'ecdsaSha1' } }),
  signature: () => three({ leaf: { signWith: otherKey, noKeyIds: true } }),
  'issuer-not-found': () => ({ ...three(), intermediates: [] }),
  'untrusted-root': () => ({ ...three(), leaf: leaf(undefined) }),
};

describe('a broken chain', () => {
  test.each(Object.entries(broken))('%s: cause, remedy, and what the wire says is what it says', async (reason, makeCase) => {
    const { leaf: end, intermediates = [], anchors } = makeCase();
    for (const anchor of anchors) await world.putGroup('plant', { attestation: signedBy(anchor) });
    const { kind, decisions } = await world.fleet.explain({ subject: pem(end, intermediates) });
    const [decision] = decisions;
    expect([kind, decision?.verdict, decision?.chain?.trusted]).toEqual(['certificate', 'refused', false]);
    const problem = decision?.chain?.links.find((link) => link.problem !== undefined)?.problem;
    expect(problem?.reason).toBe(reason);
    expect(decision?.trace.find(({ subject }) => subject === 'path')).toMatchObject({ reason, sentence: problem?.sentence });
    expect(decision?.remedies.join(' ')).not.toBe('');
    expect(decision?.chain?.missingIssuer !== undefined).toBe(reason === 'issuer-not-found');

    const refusal = await refusalOf(world.provision(end, intermediates));
    const { http, code, amqp } = errorTable[refusal.error];
    expect(decision?.says).toMatchObject({
      https: `${http}, errorCode ${code}`,
      mqtt: `$dps/registrations/res/${http}, errorCode ${code}`,
      amqp: `rejected, ${amqp}, errorCode ${code}`,
    });
    // The same steps, kept under the tracking id that the device got.
    const { kept } = await world.fleet.explain({ subject: refusal.trackingId ?? '' });
    expect(kept).toMatchObject({ side: 'provisioning', verdict: 'refused', remedies: decision?.remedies });
    expect(kept?.trace.map(({ sentence }) => sentence)).toEqual(decision?.trace.map(({ sentence }) => sentence));
  });

  test('the missing issuer is named with its key id', async () => {
    const { leaf: end } = three();
    await world.putGroup('plant', { attestation: signedBy(root()) });
    const { decisions } = await world.fleet.explain({ subject: end.pem });
    expect(decisions[0]?.chain?.missingIssuer).toEqual({ name: 'CN=Int', keyId: expect.stringMatching(/^[0-9A-F]{40}$/iu) });
  });
});

describe('entries', () => {
  const device = make({ subject: 'sensor-1', key: ecKey(), issuer: root() });

  test('trusted, but nothing enrolls it', async () => {
    await world.putGroup('plant', { attestation: signedBy(root()) });
    await world.provisioning.caCertificates.put('dps', 'ca', {
      certificate: root().pem,
      isVerified: true,
      precondition: { kind: 'absent' },
    });
    await world.provisioning.enrollmentGroups.delete('dps', 'plant', { kind: 'any' });
    const [decision] = (await world.fleet.explain({ subject: device.pem })).decisions;
    expect(decision).toMatchObject({ verdict: 'refused', chain: { trusted: true } });
    expect(decision?.remedies.join(' ')).toContain('enrollment group');
    expect(decision?.chain?.links.at(-1)?.from).toContain("CA certificate 'ca', verified");
  });

  test('a deny is named with how to mend it; after the id, the thumbprint, the certificate alike', async () => {
    await world.putGroup('plant', { attestation: signedBy(root()) });
    await world.provision(device);
    await world.putIndividual('deny', { attestation: holding(device), provisioningStatus: 'disabled' });
    for (const subject of ['sensor-1', device.certificate.sha256, device.pem]) {
      const { decisions } = await world.fleet.explain({ subject });
      const decision = decisions.find(({ side }) => side === 'provisioning');
      expect(decision).toMatchObject({ verdict: 'disabled', says: { https: '200 with status disabled, no hub' } });
      expect(decision?.trace.at(-1)).toMatchObject({ subject: 'individual', outcome: 'decided', reason: 'disabled' });
      expect(decision?.remedies.join(' ')).toContain('Enable the entry');
    }
  });

  test('a block is named on both sides, with its reason and how to lift it', async () => {
    await world.putGroup('plant', { attestation: signedBy(root()) });
    await world.provision(device);
    await world.fleet.deprovision({ device: 'sensor-1', mode: 'revoke', identity: 'keep', reason: 'stolen', ticket: 'T-1' }, actor);
    const { decisions } = await world.fleet.explain({ subject: 'sensor-1' });
    expect(decisions.map(({ side, verdict }) => [side, verdict])).toEqual([
      ['provisioning', 'disabled'],
      ['hub', 'refused'],
    ]);
    for (const { trace, remedies } of decisions) {
      expect(trace.find(({ subject }) => subject === 'block')?.sentence).toContain('Reason: stolen, ticket T-1.');
      expect(remedies.join(' ')).toContain('muster reinstate');
    }
  });

  test('a device that never showed a certificate cannot be told, and says what to give', async () => {
    await world.hub.registry.put('east', 'by-key', {
      body: { deviceId: 'by-key', authentication: { type: 'certificateAuthority' } },
      precondition: { kind: 'absent' },
    });
    const { decisions } = await world.fleet.explain({ subject: 'by-key' });
    expect(decisions.map(({ verdict }) => verdict)).toEqual(['unknown', 'unknown']);
    expect((await refusalOf(world.fleet.explain({ subject: 'nobody' }))).error).toBe('ResourceNotFound');
  });
});

describe('ids that a device logs', () => {
  const device = make({ subject: 'sensor-1', key: ecKey(), issuer: root() });

  test('an operation id resolves to the decision that began it', async () => {
    await world.putGroup('plant', { attestation: signedBy(root()) });
    const { body } = await world.provisioning.registrations.register(world.request(device));
    const { kind, kept } = await world.fleet.explain({ subject: body.operationId });
    expect([kind, kept?.verdict, kept?.operationId]).toEqual(['operation id', 'let-in', body.operationId]);
    expect(kept?.trace.map(({ subject }) => subject)).toContain('allocation');
  });

  test.each([
    ['an unknown id scope', () => world.provisioning.registrations.register({ ...world.request(device), idScope: '0neNOBODY' })],
    [
      'an operation that is gone',
      () => world.provisioning.registrations.operationStatus({ ...world.request(device), operationId: '4.0.x' }),
    ],
    ['a record that is not there', () => world.provisioning.registrations.lookup(world.request(device))],
  ] as const)('%s resolves, too', async (_name, ask) => {
    await world.putGroup('plant', { attestation: signedBy(root()) });
    const { trackingId, error } = await refusalOf(ask());
    const { kept } = await world.fleet.explain({ subject: trackingId ?? '' });
    expect(kept).toMatchObject({ id: 'sensor-1', verdict: 'refused', says: expect.stringContaining(String(errorTable[error].code)) });
    expect(kept?.remedies).not.toEqual([]);
  });

  test('a refusal of a hub resolves, in whatever case its id was written down', async () => {
    const refusal = await refusalOf(
      world.hub.devicePlane.authenticate({
        hub: 'east',
        deviceId: 'sensor-1',
        credentials: { certificates: [device.der] },
        peer: { transport: 'amqp', remoteAddress: '192.0.2.1' },
      }),
    );
    const { kept } = await world.fleet.explain({ subject: `{${refusal.trackingId?.toUpperCase() ?? ''}}` });
    expect(kept).toMatchObject({ side: 'hub', name: 'east', transport: 'amqp', trace: [{ reason: 'unknown-device' }] });
    expect(kept?.says).toBe('detach, amqp:not-found, errorCode 404001');
  });
});
