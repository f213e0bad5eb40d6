import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TransportName, transportNames } from '../../src/contracts/transport.ts';
import { type AzureSdks, type SdkError, SdkFailure, startAzureSdks } from './harness/azure-sdks.ts';
import { CertGen, type Issued } from './harness/cert-gen.ts';
import { muster, removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// The failure matrix of the device API (dps.md 3.2) as the official SDK for Node reports it: what a device can provoke.

const folder = temporaryFolder();
const data = join(folder, 'data');

let service: RunningService;
let sdks: AzureSdks;
let root: Issued;
let stranger: Issued;
const leaves = new Map<string, Issued>();

/** Devices, with the issuer of their certificates. */
const devices = ['plain', 'denied', 'unlucky', 'homeless', 'throttled-mqtt', 'throttled-amqp'];

beforeAll(async () => {
  const pki = new CertGen(join(folder, 'pki'));
  [root, stranger] = await Promise.all([pki.root('error table root'), pki.root('stranger')]);
  for (const name of devices) leaves.set(name, await pki.device(name, root));
  leaves.set('unknown', await pki.device('unknown', stranger));
  leaves.set('expired', await pki.device('expired', root, ['-days', '-1']));
  writeFileSync(join(folder, 'muster.yaml'), 'quotas:\n  registrationsPerMinute: 30\npollAfterSeconds: 1\n');
  service = await startService(data, ['--config', join(folder, 'muster.yaml')]);
  sdks = await startAzureSdks(service.endpoints);
  const entry = ['--dps-name', 'dps-local', '--enrollment-id'];
  await ok('iot', 'dps', 'enrollment-group', 'create', ...entry, 'all', '--certificate-path', root.certificatePath);
  const deny = ['--attestation-type', 'x509', '--certificate-path', leafOf('denied').certificatePath, '--provisioning-status', 'disabled'];
  await ok('iot', 'dps', 'enrollment', 'create', ...entry, 'deny', ...deny);
  // az refuses static without a hub by itself; the service takes it, and the registration fails.
  const client = { primary: { certificate: leafOf('unlucky').certificate } };
  const astray = {
    registrationId: 'unlucky',
    attestation: { type: 'x509', x509: { clientCertificates: client } },
    allocationPolicy: 'static',
  };
  const connectionString = service.endpoints.dps[0]?.serviceConnectionString.replace(/^(HostName=[^;:]+):\d+/u, '$1');
  await sdks.run('dps', { connectionString, method: 'createOrUpdateIndividualEnrollment', args: [astray] });
  // A hub that is linked, and is not there.
  const gone = 'gone.azure-devices.localhost';
  const link = ['--connection-string', `HostName=${gone};SharedAccessKeyName=x;SharedAccessKey=eA==`, '--apply-allocation-policy', 'false'];
  await ok('iot', 'dps', 'linked-hub', 'create', '--dps-name', 'dps-local', ...link);
  const homeless = {
    registrationId: 'homeless',
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leafOf('homeless').certificate } } } },
    allocationPolicy: 'static',
    iotHubs: [gone],
  };
  await sdks.run('dps', { connectionString, method: 'createOrUpdateIndividualEnrollment', args: [homeless] });
});
afterAll(async () => {
  await sdks?.close();
  await service?.stop();
  removeFolder(folder);
});

async function ok(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await muster(data, args);
  expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
}

const leafOf = (name: string): Issued => leaves.get(name) ?? expect.fail(`${name} has no certificate`);

function registration(transport: TransportName, name: string, idScope?: string) {
  const [dps] = service.endpoints.dps;
  const { certificate: cert, key } = leafOf(name);
  return { transport, host: dps?.globalEndpoint, idScope: idScope ?? dps?.idScope, registrationId: name, cert, key };
}

/** Whatever form the transport of the SDK gives it. */
const everythingSaid = (error: object): string => JSON.stringify(error);

/** What the SDK calls a 401: over AMQP it hands out the rejection as it came. */
const unauthorized: Readonly<Record<TransportName, RegExp>> = {
  https: /"name":"UnauthorizedError"/u,
  mqtt: /"name":"UnauthorizedError"/u,
  'mqtt-ws': /"name":"UnauthorizedError"/u,
  amqp: /amqp:unauthorized-access/u,
  'amqp-ws': /amqp:unauthorized-access/u,
};

describe.each(transportNames)('over %s', (transport) => {
  test.each([
    ['unknown id scope', 'plain', '0ne00000000', /401002.*Unauthorized/su],
    ['untrusted chain', 'unknown', undefined, /401002.*CA certificate not found/su],
    ['expired certificate', 'expired', undefined, /401002.*Invalid certificate/su],
  ])('%s is refused with its code and its words', async (_name, device, idScope, words) => {
    const error = await sdks.failure('register', registration(transport, device, idScope));
    expect(everythingSaid(error)).toMatch(unauthorized[transport]);
    // Over MQTT the SDK keeps no more of a refusal than its status.
    if (!transport.startsWith('mqtt')) expect(everythingSaid(error)).toMatch(words);
  });

  test('disabled is a result that is not assigned', async () => {
    const error = await sdks.failure('register', registration(transport, 'denied'));
    expect(error).toMatchObject({ name: 'SyntaxError', message: 'status is disabled', result: { status: 'disabled' } });
  });

  test.each([
    ['no hub to go to', 'unlucky', 400208, /hub/iu],
    ['a hub that refuses', 'homeless', 400209, /^ErrorCode:/u],
  ])('a registration that fails for %s has its code and its words', async (_name, device, errorCode, words) => {
    const error = await sdks.failure('register', registration(transport, device));
    expect(error).toMatchObject({
      name: 'ProvisioningRegistrationFailedError',
      result: { status: 'failed', registrationState: { status: 'failed', errorCode, errorMessage: expect.stringMatching(words) } },
    });
  });

  test('kept out by the IP filter is unauthorized', async () => {
    await ok(
      'iot',
      'dps',
      'update',
      '-n',
      'dps-local',
      '--add',
      'properties.ipFilterRules',
      'filterName=closed',
      'action=Reject',
      'ipMask=127.0.0.0/8',
      'target=deviceApi',
      '--add',
      'properties.ipFilterRules',
      'filterName=six',
      'action=Reject',
      'ipMask=::1',
      'target=deviceApi',
    );
    try {
      const error = await sdks.failure('register', registration(transport, 'plain'));
      expect(everythingSaid(error)).toMatch(unauthorized[transport]);
      expect(everythingSaid(error)).not.toMatch(/closed|127\.0\.0/u);
    } finally {
      await ok('iot', 'dps', 'update', '-n', 'dps-local', '--set', 'properties.ipFilterRules=[]');
    }
    expect(await sdks.run('register', registration(transport, 'plain'))).toMatchObject({ status: 'assigned' });
  });
});

describe('throttled', () => {
  /** Uses up what may register in a minute; what the SDK reports in the end. */
  async function drain(): Promise<SdkError> {
    for (let round = 0; round < 10; round += 1) {
      const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => sdks.run('register', registration('https', 'plain'))));
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed?.reason instanceof SdkFailure) return failed.reason.sdk;
    }
    return expect.fail('nothing was throttled');
  }

  test('over https the SDK reports ThrottlingError', async () => {
    const error = await drain();
    expect(error).toMatchObject({ name: 'ThrottlingError' });
    expect(everythingSaid(error)).toMatch(/429001.*Operations are being throttled for this tenant\./su);
  });

  test.each(['mqtt', 'amqp'] as const)('over %s the SDK waits as it is told, and gets in', async (transport) => {
    await drain();
    // Two places come free in two to four seconds.
    const start = Date.now();
    const register = () => sdks.run('register', registration(transport, `throttled-${transport}`));
    expect(await Promise.all([register(), register()])).toMatchObject([{ status: 'assigned' }, { status: 'assigned' }]);
    expect(Date.now() - start).toBeGreaterThan(2000);
  });
});
