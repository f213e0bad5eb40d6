import { createHmac } from 'node:crypto';

import { beforeEach, describe, expect, test } from 'vitest';
import { minutes, plus } from '../../../src/kernel/clock.ts';
import { type HubWorld, hostOf, openHubWorld, refusal } from '../../fixtures/hub-world.ts';
import { ecKey, type Made, make, noon } from '../../fixtures/pki/make-certificate.ts';

let world: HubWorld;

beforeEach(async () => {
  world = await openHubWorld();
  return () => world.close();
});

const day = 86_400_000;
const keys = { root: ecKey(), intermediate: ecKey(), leaf: ecKey(), stranger: ecKey() };
const root = make({ subject: 'Root', key: keys.root, ca: true });
const intermediate = make({ subject: 'Int', key: keys.intermediate, issuer: root, ca: true });
const leafOf = (deviceId: string, issuer: Made = intermediate): Made => make({ subject: deviceId, key: keys.leaf, issuer });
const own = make({ subject: 'd1', key: keys.leaf });

const present = (...certificates: readonly Made[]) => ({ certificates: certificates.map(({ der }) => new Uint8Array(der)) });
const selfSigned = (primaryThumbprint: string, secondaryThumbprint: string | null = null) => ({
  authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint, secondaryThumbprint } },
});
const byAuthority = { authentication: { type: 'certificateAuthority' } };
const unauthorized = refusal('IotHubUnauthorized', 'Authentication failed for this device, renew token or certificate and reconnect');
const lastEvent = () => world.log.named('device.authenticate').at(-1);

/** The encoders of the SDKs, where they differ from `encodeURIComponent`. */
const strictly = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/gu, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
const asDotNet = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27');

/** A token for a resource as it is written. C has an empty `skn` where it names no policy. */
function writtenAs(sr: string, { key, keyName = '' }: { readonly key: string; readonly keyName?: string }): string {
  const expiry = Math.floor(world.clock.now() / 1000) + 3600;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${expiry}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${keyName}`;
}

describe('thumbprint', () => {
  test.each([
    ['SHA-256', () => selfSigned(own.certificate.sha256)],
    ['SHA-1', () => selfSigned(own.certificate.sha1)],
    ['lower case', () => selfSigned(own.certificate.sha256.toLowerCase())],
    ['the secondary slot', () => selfSigned('0'.repeat(40), own.certificate.sha1)],
  ])('%s opens', async (_, body) => {
    const created = await world.create('d1', body());
    expect(await world.authenticate('d1', present(own))).toMatchObject({
      hub: 'hub',
      deviceId: 'd1',
      generationId: created.generationId,
      method: 'x509',
      scope: 'device',
    });
    expect(lastEvent()).toEqual({
      hub: 'hub',
      deviceId: 'd1',
      transport: 'mqtt',
      remoteAddress: '192.0.2.1',
      outcome: 'accepted',
      method: 'x509',
      scope: 'device',
    });
  });

  test('is judged by the leaf alone: what was sent beside it is not read', async () => {
    await world.create('d1', selfSigned(own.certificate.sha256));
    function* certificates(): Generator<Uint8Array> {
      yield new Uint8Array(own.der);
      throw new Error('somebody went past the leaf');
    }
    expect(await world.authenticate('d1', { certificates: { [Symbol.iterator]: certificates } })).toMatchObject({ method: 'x509' });
  });

  test('of another certificate is refused; both thumbprints are for the log', async () => {
    await world.create('d1', selfSigned('AB'.repeat(32)));
    await expect(world.authenticate('d1', present(own))).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ outcome: 'refused', reason: 'thumbprint' });
    expect(lastEvent()?.['detail']).toContain(`SHA2Hash=${own.certificate.sha256}; Configuration: PrimaryThumbprint=${'AB'.repeat(32)}`);
  });

  test('of a certificate further up the chain does not count', async () => {
    await world.create('d1', selfSigned(intermediate.certificate.sha256));
    await expect(world.authenticate('d1', present(leafOf('d1'), intermediate))).rejects.toMatchObject(unauthorized);
  });

  test.each([
    ['certificate-not-yet-valid', { notBefore: noon + 1000, notAfter: noon + day }],
    ['certificate-expired', { notBefore: noon - day, notAfter: noon - 1000 }],
  ])('%s is refused although it matches', async (reason, dates) => {
    const dated = make({ subject: 'd1', key: keys.leaf, ...dates });
    await world.create('d1', selfSigned(dated.certificate.sha256));
    await expect(world.authenticate('d1', present(dated))).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason });
  });

  test('nothing presented, garbage, or a token instead', async () => {
    await world.create('d1', selfSigned(own.certificate.sha256));
    for (const [credentials, reason] of [
      [{}, 'nothing-presented'],
      [{ sasToken: '' }, 'nothing-presented'],
      [{ certificates: [new Uint8Array([1, 2, 3])] }, 'certificate-unreadable'],
      [{ sasToken: await world.token('d1', { key: Buffer.alloc(32).toString('base64') }) }, 'token-not-accepted'],
    ] as const) {
      await expect(world.authenticate('d1', credentials)).rejects.toMatchObject(unauthorized);
      expect(lastEvent()).toMatchObject({ reason });
    }
  });
});

describe('certificate authority', () => {
  beforeEach(async () => {
    await world.create('d1', byAuthority);
  });

  test.each([
    ['the chain that was sent', [root], [], () => [leafOf('d1'), intermediate]],
    ['the leaf alone, completed from what was uploaded', [root], [intermediate], () => [leafOf('d1')]],
    ['an intermediate as the anchor', [intermediate], [], () => [leafOf('d1')]],
    ['a chain with garbage behind it', [intermediate], [], () => [leafOf('d1'), { der: Buffer.from('garbage') } as Made]],
  ] as const)('%s opens', async (_, anchors, uploaded, sent) => {
    world.anchors.push(...anchors.map(({ certificate }) => certificate));
    world.intermediates.push(...uploaded.map(({ certificate }) => certificate));
    expect(await world.authenticate('d1', present(...sent()))).toMatchObject({ method: 'x509' });
  });

  test.each([
    ['the common name of another device', 'common-name', () => leafOf('d2')],
    ['another case of the name', 'common-name', () => leafOf('D1')],
    [
      'a stranger as the issuer',
      'chain',
      () => leafOf('d1', make({ subject: 'Int', key: keys.stranger, issuer: root, ca: true, signWith: keys.stranger })),
    ],
    ['no issuer', 'chain', () => own],
  ])('%s is refused', async (_, reason, leaf) => {
    world.anchors.push(root.certificate);
    await expect(world.authenticate('d1', present(leaf(), intermediate))).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason });
  });

  test('an uploaded certificate that nobody verified is no anchor', async () => {
    world.intermediates.push(root.certificate, intermediate.certificate);
    await expect(world.authenticate('d1', present(leafOf('d1')))).rejects.toMatchObject(unauthorized);
  });

  test('does not open an identity of another type', async () => {
    world.anchors.push(root.certificate);
    await world.create('d2');
    await expect(world.authenticate('d2', present(leafOf('d2'), intermediate))).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'certificate-not-accepted' });
  });
});

describe('token', () => {
  test.each(['primaryKey', 'secondaryKey'] as const)('signed with the %s opens until it ends', async (slot) => {
    const created = await world.create('d1');
    const expiresAt = plus(world.clock.now(), minutes(30));
    const sasToken = await world.token('d1', { expiresAt, key: created.authentication.symmetricKey[slot] ?? '' });
    expect(await world.authenticate('d1', { sasToken })).toMatchObject({ method: 'sas', scope: 'device', expiresAt });
  });

  test('for the host in another case and with a port opens', async () => {
    await world.create('d1');
    const sasToken = await world.token('d1', { resource: `${hostOf('hub').toUpperCase()}:8883/devices/d1` });
    expect(await world.authenticate('d1', { sasToken })).toMatchObject({ method: 'sas' });
  });

  test.each(['a%20b', 'a#b', "a'b!(c)", '100%', 'a=b;c', 'a+b'])('%s opens by its own name, encoded once or twice', async (deviceId) => {
    await world.create(deviceId);
    for (const id of [deviceId, encodeURIComponent(deviceId), encodeURIComponent(deviceId).replaceAll("'", '%27')]) {
      const sasToken = await world.token(deviceId, { resource: `${hostOf('hub')}/devices/${id}` });
      expect(await world.authenticate(deviceId, { sasToken })).toMatchObject({ deviceId });
    }
  });

  test.each([
    ['a%41', 'aA'],
    ['a%2fb', 'a/b'],
    ['a%23', 'a#'],
  ])('of a policy for %s is good for this id only, and not for %s', async (granted, other) => {
    const policy = await world.policyToken('device', { resource: `${hostOf('hub')}/devices/${granted}` });
    await world.create(granted);
    expect(await world.authenticate(granted, { sasToken: policy })).toMatchObject({ deviceId: granted, scope: 'hub' });
    if (other.includes('/')) return;
    await world.create(other);
    await expect(world.authenticate(other, { sasToken: policy })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-resource' });
  });

  test('of a device whose id nobody encodes like that is refused', async () => {
    await world.create('aA');
    const sasToken = await world.token('aA', { resource: `${hostOf('hub')}/devices/a%41` });
    await expect(world.authenticate('aA', { sasToken })).rejects.toMatchObject(unauthorized);
  });

  test.each([
    ['Node and Python, which encode the whole once', 'a%41', (sr: string) => encodeURIComponent(sr)],
    ['Node, which encodes more than others', "a'(%41)*!", (sr: string) => strictly(sr)],
    [
      'C# and its HSM, which encode the id before the whole',
      'a%41',
      (_: string, id: string) => encodeURIComponent(`${hostOf('hub')}/devices/${asDotNet(id)}`),
    ],
    [
      'C#, which encodes what others leave',
      "a'b:c",
      (_: string, id: string) => encodeURIComponent(`${hostOf('hub')}/devices/${asDotNet(id)}`),
    ],
    [
      'old .NET, whose escapes are in small letters',
      'a:b%41',
      (_: string, id: string) => encodeURIComponent(`${hostOf('hub')}/devices/${asDotNet(id).toLowerCase()}`),
    ],
    ['C over MQTT and AMQP, which encodes nothing', 'a%41', (sr: string) => sr],
    ['C over MQTT and AMQP, of an id that cannot be decoded', '100%', (sr: string) => sr],
    [
      'C over HTTPS and Java, which encode the id alone',
      'a%41',
      (_: string, id: string) => `${hostOf('hub')}/devices/${encodeURIComponent(id)}`,
    ],
  ])('written as by %s', async (_, deviceId, written) => {
    const { authentication } = await world.create(deviceId);
    const resource = `${hostOf('hub')}/devices/${deviceId}`;
    const sasToken = writtenAs(written(resource, deviceId), { key: authentication.symmetricKey.primaryKey ?? '' });
    expect(await world.authenticate(deviceId, { sasToken })).toMatchObject({ deviceId });
  });

  test.each([
    ['another device', `${hostOf('hub')}/devices/d2`],
    ['another case of the id', `${hostOf('hub')}/devices/D1`],
    ['a longer id', `${hostOf('hub')}/devices/d11`],
    ['less than a segment', `${hostOf('hub')}/devices/d`],
    ['another hub', `${hostOf('other')}/devices/d1`],
    ['another host', `example.org/devices/d1`],
    ['this machine, where several hubs are', `localhost/devices/d1`],
    ['a part of the device only', `${hostOf('hub')}/devices/d1/modules/m1`],
    ['all devices', `${hostOf('hub')}/devices`],
    ['the whole hub', hostOf('hub')],
  ])('for %s is refused', async (_, resource) => {
    await world.create('d1');
    await expect(world.authenticate('d1', { sasToken: await world.token('d1', { resource }) })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-resource' });
  });

  test('of a module is for that module alone, and only its own key makes one', async () => {
    const device = await world.create('d1');
    const body = { deviceId: 'd1', moduleId: 'm1' };
    const module = await world.hub.modules.put('hub', 'd1/m1', { body, precondition: { kind: 'absent' } });
    const [ofDevice, ofModule] = [device, module].map(({ authentication }) => authentication.symmetricKey.primaryKey ?? '');
    const open = async (key: string | undefined, resource: string) =>
      world.authenticate('d1/m1', { sasToken: await world.token('d1', { key: key ?? '', resource: `${hostOf('hub')}/${resource}` }) });
    expect(await open(ofModule, 'devices/d1/modules/m1')).toMatchObject({ deviceId: 'd1/m1', scope: 'device' });
    for (const [key, resource, reason] of [
      [ofModule, 'devices/d1', 'token-resource'],
      [ofModule, 'devices', 'token-resource'],
      [ofModule, 'devices/d1/modules/m2', 'token-resource'],
      [ofDevice, 'devices/d1', 'token-signature'],
      [ofDevice, 'devices/d1/modules/m1', 'token-signature'],
    ] as const) {
      await expect(open(key, resource), resource).rejects.toMatchObject(unauthorized);
      expect(lastEvent()).toMatchObject({ reason });
    }
  });

  test('signed with the key of a neighbour is refused', async () => {
    await world.create('d1');
    const neighbour = await world.create('d2');
    const sasToken = await world.token('d1', { key: neighbour.authentication.symmetricKey.primaryKey ?? '' });
    await expect(world.authenticate('d1', { sasToken })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-signature' });
  });

  test('that is none is refused', async () => {
    await world.create('d1');
    await expect(world.authenticate('d1', { sasToken: 'SharedAccessSignature sr=x' })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-malformed' });
  });

  test('ended at most five minutes ago is a difference of clocks; before that it is over', async () => {
    await world.create('d1');
    const expiresAt = world.clock.now();
    const sasToken = await world.token('d1', { expiresAt });
    world.clock.advance(minutes(4));
    expect(await world.authenticate('d1', { sasToken })).toMatchObject({ expiresAt: plus(expiresAt, minutes(5)) });
    world.clock.advance(minutes(1) + 1);
    await expect(world.authenticate('d1', { sasToken })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-expired' });
  });

  test('is what counts when a certificate was presented, too', async () => {
    await world.create('d1', selfSigned(own.certificate.sha256));
    const sasToken = await world.token('d1', { key: Buffer.alloc(32).toString('base64') });
    await expect(world.authenticate('d1', { ...present(own), sasToken })).rejects.toMatchObject(unauthorized);
  });
});

describe('policy token', () => {
  test.each(['iothubowner', 'device'])('%s may connect any device, whatever its type', async (keyName) => {
    await world.create('d1', byAuthority);
    expect(await world.authenticate('d1', { sasToken: await world.policyToken(keyName) })).toMatchObject({ method: 'sas', scope: 'hub' });
  });

  test('scoped to one device opens that one', async () => {
    await world.create('d1');
    await world.create('d2');
    const sasToken = await world.policyToken('device', { resource: `${hostOf('hub')}/devices/d1` });
    expect(await world.authenticate('d1', { sasToken })).toMatchObject({ scope: 'hub' });
    await expect(world.authenticate('d2', { sasToken })).rejects.toMatchObject(unauthorized);
  });

  describe('for a%41', () => {
    const policy = async (sr: string): Promise<string> => {
      const found = (await world.hub.hubs.policies('hub')).find(({ keyName }) => keyName === 'device');
      return writtenAs(sr, { key: found?.primaryKey ?? '', keyName: 'device' });
    };
    const scoped = (id: string): string => `${hostOf('hub')}/devices/${id}`;
    beforeEach(async () => {
      for (const id of ['a%41', 'aA', 'a%2541']) await world.create(id);
    });

    test('is good for that device, and for no other that it could be read as', async () => {
      // Node signs with a policy for one device, and encodes the whole once; az and the documentation do the same.
      const sasToken = await policy(encodeURIComponent(scoped('a%41')));
      expect(await world.authenticate('a%41', { sasToken })).toMatchObject({ deviceId: 'a%41' });
      for (const other of ['aA', 'a%2541']) {
        await expect(world.authenticate(other, { sasToken })).rejects.toMatchObject(unauthorized);
        expect(lastEvent()).toMatchObject({ reason: 'token-resource' });
      }
    });

    // The escapes may be the id's own or those of whoever wrote it, and no SDK signs so with the key of a policy.
    test.each(['a%41', 'aA', 'a%2541'])('is good for nobody when it is not said whose escapes these are, asked for %s', async (asked) => {
      const sasToken = await policy(scoped('a%41'));
      await expect(world.authenticate(asked, { sasToken })).rejects.toMatchObject(unauthorized);
      expect(lastEvent()).toMatchObject({ reason: 'token-resource' });
    });

    test('and without escapes there is nothing to mistake', async () => {
      expect(await world.authenticate('aA', { sasToken: await policy(scoped('aA')) })).toMatchObject({ deviceId: 'aA' });
    });
  });

  test.each(['service', 'registryRead', 'registryReadWrite'])('%s may not', async (keyName) => {
    await world.create('d1');
    await expect(world.authenticate('d1', { sasToken: await world.policyToken(keyName) })).rejects.toMatchObject(unauthorized);
    expect(lastEvent()).toMatchObject({ reason: 'token-right' });
  });

  test('of another hub opens nothing here', async () => {
    await world.create('d1');
    const sasToken = await world.policyToken('iothubowner');
    await world.hub.registry.put('other', 'd1', { body: {}, precondition: { kind: 'absent' } });
    await expect(world.authenticate('d1', { sasToken }, 'other')).rejects.toMatchObject(unauthorized);
  });
});

describe('status', () => {
  test('a disabled device with the right credential is told so', async () => {
    await world.create('d1', { ...selfSigned(own.certificate.sha256), status: 'disabled' });
    await expect(world.authenticate('d1', present(own))).rejects.toMatchObject(refusal('DeviceDisabled'));
    expect(lastEvent()).toMatchObject({ outcome: 'refused', reason: 'disabled' });
  });

  test('a stranger is not told that it is disabled', async () => {
    await world.create('d1', { ...selfSigned('0'.repeat(40)), status: 'disabled' });
    await expect(world.authenticate('d1', present(own))).rejects.toMatchObject(unauthorized);
  });

  test('an unknown device is not found, whatever it shows', async () => {
    const zeroKey = Buffer.alloc(32).toString('base64');
    for (const credentials of [
      {},
      present(own),
      { sasToken: await world.token('d1', { key: zeroKey }) },
      { sasToken: await world.policyToken('device') },
    ]) {
      await expect(world.authenticate('d1', credentials)).rejects.toMatchObject(
        refusal('DeviceNotFound', "'hub' does not contain the specified device 'd1'"),
      );
      expect(lastEvent()).toMatchObject({ reason: 'unknown-device' });
    }
  });

  test('an id that cannot be is not found', async () => {
    await expect(world.authenticate('a/b', present(own))).rejects.toMatchObject(refusal('DeviceNotFound'));
  });

  test('a deleted device is not found', async () => {
    await world.create('d1', selfSigned(own.certificate.sha256));
    await world.hub.registry.delete('hub', 'd1', { kind: 'absent' });
    await expect(world.authenticate('d1', present(own))).rejects.toMatchObject(refusal('DeviceNotFound'));
  });
});

test('the log never has a key, a signature or a token', async () => {
  const created = await world.create('d1');
  const sasToken = await world.token('d1');
  await world.authenticate('d1', { sasToken });
  await expect(world.authenticate('d1', { sasToken: `${sasToken}x` })).rejects.toMatchObject(unauthorized);
  const text = JSON.stringify(world.log.events);
  const { primaryKey, secondaryKey } = created.authentication.symmetricKey;
  for (const secret of [primaryKey, secondaryKey, 'sig=', sasToken]) expect(text).not.toContain(secret);
});
