import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { hours } from '../../../src/kernel/clock.ts';
import { ecKey, make } from '../../fixtures/pki/make-certificate.ts';
import { int, leaf, otherKey, root, rootKey } from '../../fixtures/pki/path-case.ts';
import { absent, any, etag, openProvisioningWorld, type ProvisioningWorld, refusalOf } from '../../fixtures/provisioning-world.ts';

const top = root();
const middle = int(top);

let world: ProvisioningWorld;
beforeEach(async () => {
  world = await openProvisioningWorld();
});
afterEach(() => world.close());

const cas = () => world.provisioning.caCertificates;
const upload = (name = 'root', certificate = top.pem, isVerified = false) =>
  cas().put('dps', name, { certificate, isVerified, precondition: absent });
const proofFor = (code: string | undefined, issuer = top) => make({ subject: code ?? '', key: ecKey(), issuer }).pem;

describe('proof of possession', () => {
  test('a certificate with the code, issued by the CA, verifies it', async () => {
    const uploaded = await upload();
    expect(uploaded.properties).toMatchObject({ isVerified: false, thumbprint: top.certificate.sha1, subject: 'CN=Root' });
    const generated = await cas().generateVerificationCode('dps', 'root', etag(uploaded.etag));
    const code = generated.properties.verificationCode;
    expect(code).toMatch(/^[0-9A-F]{48}$/u);
    expect((await cas().get('dps', 'ROOT')).properties.verificationCode).toBe(code);
    const verified = await cas().verify('dps', 'root', { certificate: proofFor(code), precondition: etag(generated.etag) });
    expect(verified.properties).toMatchObject({ isVerified: true });
    expect(Object.keys(verified.properties)).not.toContain('verificationCode');
    expect(new Set([uploaded.etag, generated.etag, verified.etag]).size).toBe(3);
  });

  test('a new code replaces the old one', async () => {
    await upload();
    const first = await cas().generateVerificationCode('dps', 'root', any);
    await cas().generateVerificationCode('dps', 'root', any);
    const stale = cas().verify('dps', 'root', { certificate: proofFor(first.properties.verificationCode), precondition: any });
    expect((await refusalOf(stale)).message).toContain('not the verification code');
  });

  test('a failed try leaves the code, so that the next one may succeed', async () => {
    await upload();
    const { verificationCode } = (await cas().generateVerificationCode('dps', 'root', any)).properties;
    const forged = make({ subject: verificationCode ?? '', key: ecKey(), issuer: top, signWith: otherKey });
    for (const certificate of [proofFor('another'), proofFor(verificationCode, middle), forged.pem, top.pem, 'hello']) {
      expect((await refusalOf(cas().verify('dps', 'root', { certificate, precondition: any }))).error).toBe('DpsBadRequest');
    }
    expect((await cas().verify('dps', 'root', { certificate: proofFor(verificationCode), precondition: any })).properties.isVerified).toBe(
      true,
    );
  });

  test('a code ends a week after it was generated, also when the certificate was put again in between', async () => {
    await upload();
    const { verificationCode } = (await cas().generateVerificationCode('dps', 'root', any)).properties;
    world.clock.advance(hours(7 * 24 - 1));
    await cas().put('dps', 'root', { certificate: top.pem, isVerified: false, precondition: any });
    expect((await cas().get('dps', 'root')).properties.verificationCode).toBe(verificationCode);
    world.clock.advance(hours(2));
    expect(Object.keys((await cas().get('dps', 'root')).properties)).not.toContain('verificationCode');
    const late = cas().verify('dps', 'root', { certificate: proofFor(verificationCode), precondition: any });
    expect((await refusalOf(late)).message).toContain('expired. Generate another one');
    expect((await cas().get('dps', 'root')).properties.isVerified).toBe(false);
  });

  test('a code is used up by the proof', async () => {
    await upload();
    const { verificationCode } = (await cas().generateVerificationCode('dps', 'root', any)).properties;
    const proof = { certificate: proofFor(verificationCode), precondition: any };
    await cas().verify('dps', 'root', proof);
    expect((await refusalOf(cas().verify('dps', 'root', proof))).message).toContain('Generate one');
  });

  test('needs a code', async () => {
    await upload();
    expect((await refusalOf(cas().verify('dps', 'root', { certificate: proofFor('x'), precondition: any }))).message).toContain(
      'Generate one',
    );
  });
});

describe('uploading', () => {
  test('as verified needs no proof', async () => {
    expect((await upload('root', top.der.toString('base64'), true)).properties).toMatchObject({
      isVerified: true,
      certificate: top.der.toString('base64'),
    });
  });

  test('something that is no CA is refused with a sentence', async () => {
    expect((await refusalOf(upload('root', leaf(top).pem))).message).toContain(
      'is not a CA certificate: its basicConstraints do not say CA:TRUE',
    );
  });

  test('under a name that is taken is refused without a tag, and with a stale one', async () => {
    await upload();
    expect((await refusalOf(upload())).error).toBe('ResourceExists');
    const stale = cas().put('dps', 'root', { certificate: top.pem, isVerified: false, precondition: etag('x') });
    expect((await refusalOf(stale)).error).toBe('DpsPreconditionFailed');
  });

  test('the same certificate again stays verified, another one does not', async () => {
    await upload('root', top.pem, true);
    const again = (certificate: string) => cas().put('dps', 'root', { certificate, isVerified: false, precondition: any });
    expect((await again(top.pem)).properties.isVerified).toBe(true);
    expect((await again(make({ subject: 'Root', key: rootKey, ca: true }).pem)).properties.isVerified).toBe(false);
  });
});

test('a certificate that is gone is not found, by any way', async () => {
  const works = [
    () => cas().get('dps', 'nope'),
    () => cas().delete('dps', 'nope', { precondition: any }),
    () => cas().generateVerificationCode('dps', 'nope', any),
    () => cas().verify('dps', 'nope', { certificate: top.pem, precondition: any }),
  ];
  for (const work of works) expect((await refusalOf(work())).error).toBe('ResourceNotFound');
});

describe('a certificate that a disabled group refers to', () => {
  const replace = (certificate: string, force = false) =>
    cas().put('dps', 'root', { certificate, isVerified: true, precondition: any, force });
  const refer = (provisioningStatus: 'enabled' | 'disabled') =>
    world.putGroup('deny', { attestation: { type: 'x509', x509: { caReferences: { primary: 'ROOT' } } }, provisioningStatus }, any);
  const other = make({ subject: 'Root', key: rootKey, ca: true }).pem;
  beforeEach(async () => {
    await upload('root', top.pem, true);
    await refer('disabled');
  });

  test('is neither deleted nor replaced, with a sentence that names the group', async () => {
    for (const work of [cas().delete('dps', 'root', { precondition: any }), replace(other)]) {
      const { error, message, row } = await refusalOf(work);
      expect([error, row.http]).toEqual(['ResourceInUse', 409]);
      expect(message).toContain("The disabled enrollment group 'deny' refers to this certificate");
    }
    expect((await cas().get('dps', 'root')).properties.isVerified).toBe(true);
    expect((await replace(top.pem)).properties.isVerified).toBe(true);
  });

  test('is deleted or replaced by force, and a stale tag is told first', async () => {
    const stale = cas().delete('dps', 'root', { precondition: etag('x'), force: true });
    expect((await refusalOf(stale)).error).toBe('DpsPreconditionFailed');
    await replace(other, true);
    await cas().delete('dps', 'root', { precondition: any, force: true });
    expect((await refusalOf(cas().get('dps', 'root'))).error).toBe('ResourceNotFound');
  });

  test('goes once the group is enabled', async () => {
    await refer('enabled');
    await cas().delete('dps', 'root', { precondition: any });
  });
});

test('verifying, un-trusting and deleting a CA takes effect with the next registration', async () => {
  const device = leaf(top, { subject: 'dev-1' });
  await upload();
  await world.putGroup('g', { attestation: { type: 'x509', x509: { caReferences: { primary: 'root' } } } });
  expect((await refusalOf(world.provision(device))).message).toBe('CA certificate not found');
  await cas().put('dps', 'root', { certificate: top.pem, isVerified: true, precondition: any });
  expect(await world.provision(device)).toMatchObject({ status: 'assigned' });
  await cas().delete('dps', 'root', { precondition: any });
  expect((await refusalOf(world.provision(device))).message).toBe('CA certificate not found');
});
