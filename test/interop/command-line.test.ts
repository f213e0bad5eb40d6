import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transportNames } from '../../src/contracts/transport.ts';
import { CertGen, type Issued } from './harness/cert-gen.ts';
import { callHttps } from './harness/https.ts';
import { main, muster, removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// The exercise's own commands, word for word with `muster` for `az`, and the simulated device, against a running service.

const folder = temporaryFolder();
const data = join(folder, 'data');
let service: RunningService;
let root: Issued;
let leaf: Issued;

beforeAll(async () => {
  const pki = new CertGen(join(folder, 'pki'));
  [root, service] = await Promise.all([pki.root('thl root'), startService(data)]);
  leaf = await pki.device('sensor-thl-002', root);
});
afterAll(async () => {
  await service?.stop();
  removeFolder(folder);
});

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await muster(data, args);
  expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
  return stdout;
}

const device = (): Promise<{ code: number; stdout: string; stderr: string }> =>
  muster(data, ['device', 'run', '--certificate', leaf.certificatePath, '--key', leaf.keyPath, '--messages', '2']);

test('the exercise by the command line', async () => {
  await ok(
    'iot',
    'dps',
    'enrollment-group',
    'create',
    '--dps-name',
    'dps-local',
    '--enrollment-id',
    'thermostats',
    '--certificate-path',
    root.certificatePath,
  );
  expect(await device()).toMatchObject({ code: 0 });

  const records = JSON.parse(
    await ok('iot', 'dps', 'enrollment-group', 'registration', 'list', '--dps-name', 'dps-local', '--enrollment-id', 'thermostats'),
  ) as {
    registrationId: string;
    assignedHub: string;
  }[];
  expect(records).toMatchObject([{ registrationId: 'sensor-thl-002', assignedHub: 'localhost' }]);

  const entry = ['--dps-name', 'dps-local', '--enrollment-id', 'disallow-002'];
  const leafOf = ['--attestation-type', 'x509', '--certificate-path', leaf.certificatePath];
  const created = await ok('iot', 'dps', 'enrollment', 'create', ...entry, ...leafOf, '--provisioning-status', 'disabled');
  expect(JSON.parse(created)).toMatchObject({ registrationId: 'disallow-002', provisioningStatus: 'disabled' });
  await ok('iot', 'hub', 'device-identity', 'delete', '--hub-name', 'hub-local', '--device-id', 'sensor-thl-002');

  const refused = await device();
  expect(refused.code).toBe(1);
  expect(`${refused.stdout}${refused.stderr}`).toMatch(/disabled/u);

  const enable = ['iot', 'dps', 'enrollment', 'update', ...entry, '--provisioning-status', 'enabled'];
  const remove = ['iot', 'dps', 'enrollment', 'delete', ...entry];
  for (const command of [enable, remove]) {
    const { code, stderr } = await muster(data, command);
    expect([code, stderr]).toEqual([1, expect.stringContaining("sensor-thl-002 is let in by the enrollment group 'thermostats'")]);
    expect(stderr).toContain('--readmit');
  }
  expect(await device()).toMatchObject({ code: 1 });

  await ok(...enable, '--readmit');
  expect(await device()).toMatchObject({ code: 0 });
  await ok(...remove);
  expect(await device()).toMatchObject({ code: 0 });
});

describe('with symmetric keys', () => {
  beforeAll(async () => {
    await ok('iot', 'dps', 'enrollment-group', 'create', '--dps-name', 'dps-local', '--enrollment-id', 'keys');
  });

  test.each(transportNames)('a device runs over %s, through a group', async (transport) => {
    const id = `key-${transport}`;
    const compute = ['iot', 'dps', 'enrollment-group', 'compute-device-key', '--dps-name', 'dps-local', '--enrollment-id', 'keys'];
    const key = (await ok(...compute, '--registration-id', id, '-o', 'tsv')).trim();
    const run = ['device', 'run', '--registration-id', id, '--transport', transport, '--messages', '1', '--symmetric-key'];
    expect(await muster(data, [...run, key])).toMatchObject({ code: 0, stderr: '' });
    const refused = await muster(data, [...run, Buffer.alloc(32).toString('base64')]);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('401002');
  });

  test('a device is registered by its individual enrollment', async () => {
    const entry = ['--dps-name', 'dps-local', '--enrollment-id', 'own-key'];
    await ok('iot', 'dps', 'enrollment', 'create', ...entry, '--attestation-type', 'symmetrickey');
    const create = ['iot', 'device', 'registration', 'create', '--dps-name', 'dps-local', '--registration-id', 'own-key'];
    expect(JSON.parse(await ok(...create))).toMatchObject({
      status: 'assigned',
      registrationState: { deviceId: 'own-key', symmetricKey: {} },
    });
    await ok('iot', 'dps', 'enrollment', 'update', ...entry, '--provisioning-status', 'disabled');
    expect(await muster(data, create)).toMatchObject({ code: 1, stderr: expect.stringContaining('disabled') });
  });
});

test.each([
  ['not found is 3', 3, ['iot', 'dps', 'enrollment', 'show', '--dps-name', 'dps-local', '--enrollment-id', 'nobody']],
  ['a device that is not there is 3', 3, ['iot', 'hub', 'device-identity', 'show', '--hub-name', 'hub-local', '--device-id', 'nobody']],
  ['bad usage is 2', 2, ['iot', 'dps', 'enrollment', 'show', '--no-such-flag']],
  [
    'nobody there is 1',
    1,
    ['iot', 'hub', 'device-identity', 'list', '--login', 'HostName=localhost:1;SharedAccessKeyName=a;SharedAccessKey=YQ=='],
  ],
])('exit code: %s', async (_name, code, args) => {
  const answer = await muster(data, args);
  expect(answer.code).toBe(code);
  expect(answer.stderr.trim()).not.toBe('');
});

test('messages and methods by the command line', async () => {
  const target = ['--hub-name', 'hub-local', '--device-id', 'talker'];
  const c2d = (...args: readonly string[]): Promise<string> => ok('iot', 'device', 'c2d-message', ...args, ...target);
  const created = JSON.parse(await ok('iot', 'hub', 'device-identity', 'create', ...target)) as { etag: string };
  expect(await c2d('receive')).toBe('');

  await c2d('send', '--data', 'hello', '--properties', 'colour=blue;size=3', '--message-id', 'm1', '--content-type', 'text/plain');
  const received = JSON.parse(await c2d('receive')) as { etag: string };
  expect(received).toMatchObject({
    data: 'hello',
    properties: {
      app: { colour: 'blue', size: '3' },
      system: { 'iothub-messageid': 'm1', 'iothub-deliverycount': '0', ContentType: 'text/plain' },
    },
  });
  await c2d('abandon', '--etag', received.etag);
  const again = JSON.parse(await c2d('receive')) as { etag: string };
  expect(again).toMatchObject({ properties: { system: { 'iothub-deliverycount': '1' } } });
  await c2d('complete', '--etag', again.etag);
  const late = await muster(data, ['iot', 'device', 'c2d-message', 'reject', '--etag', again.etag, ...target]);
  expect(late.code).not.toBe(0);
  expect(late.stderr).toMatch(/locked/u);

  const waiting = c2d('send', '--data', 'watched', '--message-id', 'm2', '--wait');
  let got = '';
  while (got === '') got = await c2d('receive', '--complete');
  expect(JSON.parse(got)).toMatchObject({ data: 'watched', ack: 'complete' });
  expect(JSON.parse(await waiting)).toMatchObject({ originalMessageId: 'm2', statusCode: 'Success', deviceId: 'talker' });

  await c2d('send', '--data', 'unwanted');
  expect(JSON.parse(await c2d('purge'))).toEqual({ deviceId: 'talker', moduleId: null, totalMessagesPurged: 1 });

  await ok('iot', 'device', 'send-d2c-message', ...target, '--data', 'up', '--props', 'room=lab;$.ct=text/plain');

  const away = await muster(data, ['iot', 'hub', 'invoke-device-method', ...target, '--method-name', 'reboot', '--timeout', '10']);
  expect(away.code).not.toBe(0);
  expect(away.stderr).toMatch(/Timed out waiting for device to connect/u);

  const text = JSON.parse(await ok('iot', 'hub', 'device-identity', 'connection-string', 'show', ...target)) as {
    connectionString: string;
  };
  expect(text.connectionString).toMatch(/^HostName=localhost;DeviceId=talker;SharedAccessKey=[A-Za-z0-9+/]{43}=$/u);
  const renewed = JSON.parse(await ok('iot', 'hub', 'device-identity', 'renew-key', ...target, '--kt', 'primary')) as {
    etag: string;
    authentication: { symmetricKey: { primaryKey: string; secondaryKey: string } };
  };
  expect(renewed.etag).not.toBe(created.etag);
  expect(text.connectionString).not.toContain(renewed.authentication.symmetricKey.primaryKey);
  const swapped = JSON.parse(await ok('iot', 'hub', 'device-identity', 'renew-key', ...target, '--kt', 'swap')) as typeof renewed;
  expect(swapped.authentication.symmetricKey.primaryKey).toBe(renewed.authentication.symmetricKey.secondaryKey);

  const ofDevice = JSON.parse(await ok('iot', 'hub', 'generate-sas-token', ...target)) as { sas: string };
  expect(ofDevice.sas).toMatch(/^SharedAccessSignature sr=localhost%2Fdevices%2Ftalker&sig=[^&]+&se=\d+$/u);
  const ofPolicy = JSON.parse(await ok('iot', 'hub', 'generate-sas-token', '-n', 'hub-local', '--policy-name', 'service')) as {
    sas: string;
  };
  expect(ofPolicy.sas).toMatch(/&skn=service$/u);
  const ca = readFileSync(service.endpoints.ca, 'utf8');
  const call = { method: 'GET', port: service.endpoints.ports.https ?? 0, ca };
  const get = (path: string, sas: string) =>
    callHttps({ ...call, path: `${path}?api-version=2021-04-12`, headers: { authorization: sas } });
  expect((await get('/devices/talker/messages/devicebound', ofDevice.sas)).status).toBe(204);
  expect((await get('/twins/talker', ofPolicy.sas)).status).toBe(200);
  expect((await get('/devices/talker', ofPolicy.sas)).status).toBe(403);
});

test('exit code: a wrong key is 1', async () => {
  const login = `HostName=localhost:${service.endpoints.ports.https};SharedAccessKeyName=iothubowner;SharedAccessKey=YQ==`;
  const answer = await muster(data, ['iot', 'hub', 'device-identity', 'list', '--login', login]);
  expect(answer.code).toBe(1);
  expect(answer.stderr).toMatch(/^ERROR: Unauthorized \(401, .*Check the policy name and key[^\n]*\n$/u);
});

test("README's line for the CA to trust", async () => {
  expect(await ok('endpoints', '--query', 'ca', '-o', 'tsv')).toBe(`${service.endpoints.ca}\n`);
});

test('a reader that has enough is no failure', async () => {
  const child = spawn(process.execPath, [main, 'iot', 'dps', 'list'], { env: { ...process.env, MUSTER_DATA: data } });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
