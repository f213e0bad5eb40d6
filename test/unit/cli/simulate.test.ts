import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import {
  createFolder,
  createServerIdentity,
  json,
  muster,
  openRecorder,
  type Outcome,
  type Recorder,
  type TestFolder,
  testKey,
  writeEndpoints,
} from './harness.ts';

let identity: Awaited<ReturnType<typeof createServerIdentity>>;
let folder: TestFolder;
let service: Recorder;

beforeAll(async () => {
  identity = await createServerIdentity();
  folder = createFolder();
  service = await openRecorder(identity);
  writeEndpoints(folder, identity.ca, { https: service.port, api: 1 });
  await muster(['pki', 'device', '--name', 'd1', '--out', folder.path]);
});
afterEach(() => {
  service.requests.length = 0;
  service.answer = json(200, {});
});
afterAll(async () => {
  await service.close();
  folder.remove();
});

const simulate = (...argv: string[]): Promise<Outcome> =>
  muster(['iot', 'device', 'simulate', '-d', 'd1', '-n', 'hub-local', '--data-folder', folder.path, ...argv]);
const overHttp = (...argv: string[]): Promise<Outcome> => simulate('--protocol', 'http', '--mi', '1', ...argv);

describe('over HTTPS', () => {
  /** A hub with one message for the device. */
  function open(): void {
    let waiting = true;
    service.answer = ({ method }, response) => {
      const isMessage = method === 'GET' && waiting;
      if (isMessage) waiting = false;
      const headers = { etag: '"lock-1"', 'iothub-messageid': 'm1', 'iothub-app-colour': 'blue' };
      if (isMessage) response.writeHead(200, headers).end('hello');
      else json(204, undefined)({} as never, response);
    };
  }

  test.each<[string, string]>([
    ['complete', 'DELETE /devices/d1/messages/deviceBound/lock-1?api-version=2021-04-12'],
    ['reject', 'DELETE /devices/d1/messages/deviceBound/lock-1?api-version=2021-04-12&reject='],
    ['abandon', 'POST /devices/d1/messages/deviceBound/lock-1/abandon?api-version=2021-04-12'],
  ])('sends, and settles what it receives: %s', async (settlement, request) => {
    open();
    const properties = 'iothub-app-room=lab;content-type=text/plain;iothub-correlationid=12';
    const outcome = await overHttp('--mc', '2', '--rs', settlement, '--da', 'Hi', '-p', properties);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout.split('\n').toSorted()).toEqual(
      [
        '',
        'message 1 of 2 acknowledged',
        'message 2 of 2 acknowledged',
        'received cloud-to-device message {"etag":"lock-1","properties":{"app":{"colour":"blue"},"system":{"iothub-messageid":"m1"}},"data":"hello"}',
        `settled: ${settlement}`,
        'done',
      ].toSorted(),
    );
    expect(service.requests.map(({ method, url }) => `${method} ${url}`)).toContain(request);
    const sent = service.requests.filter(({ url }) => url.startsWith('/devices/d1/messages/events?'));
    expect(sent.map(({ body }) => JSON.parse(body) as object)).toMatchObject([
      { id: expect.stringMatching(/^[\da-f-]{36}$/u) as string, data: 'Hi #1', timestamp: expect.stringMatching(/Z$/u) as string },
      { data: 'Hi #2' },
    ]);
    expect(sent[0]?.headers).toMatchObject({
      'iothub-app-room': 'lab',
      'iothub-contenttype': 'text/plain',
      'iothub-contentencoding': 'utf-8',
      'iothub-correlationid': '12',
    });
  });

  test('signs with the policy of the hub, in the place of the device, as az does', async () => {
    open();
    await overHttp('--mc', '1');
    expect(service.requests[0]?.headers.authorization).toMatch(
      /^SharedAccessSignature sr=localhost%2Fdevices%2Fd1&sig=[^&]+&se=\d+&skn=iothubowner$/u,
    );
  });

  test('or with the key of the device, when it is given', async () => {
    open();
    await overHttp('--mc', '1', '--key', testKey);
    expect(service.requests[0]?.headers.authorization).toMatch(/^SharedAccessSignature sr=localhost%2Fdevices%2Fd1&sig=[^&]+&se=\d+$/u);
  });

  test('a refusal ends it, and nothing more is sent', async () => {
    service.answer = json(401, { Message: 'ErrorCode:IotHubUnauthorized;Unauthorized' });
    const outcome = await overHttp();
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(outcome.stdout).toBe('refused: Unauthorized (401, IotHubUnauthorized).\n');
    expect(service.requests.length).toBeLessThanOrEqual(2);
  });

  test('--output json is an object per step', async () => {
    open();
    const { stdout } = await overHttp('--mc', '1', '-o', 'json');
    const steps = stdout.trimEnd().split('\n');
    expect(steps.map((line) => (JSON.parse(line) as { step: string }).step)).toEqual(
      expect.arrayContaining(['cloud-message', 'settled', 'message', 'done']),
    );
  });
});

describe('over MQTT', () => {
  test('a device with a certificate needs it', async () => {
    service.answer = json(200, { authentication: { type: 'selfSigned', symmetricKey: { primaryKey: null, secondaryKey: null } } });
    expect(await simulate()).toMatchObject({ code: 2, stderr: expect.stringContaining('Give --certificate-file-path and') as string });
    expect(service.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /devices/d1?api-version=2021-04-12']);
  });

  test('a key with a pass phrase is opened by it, and by no other', async () => {
    const [certificate, key] = [`${folder.path}/d1.cert.pem`, encrypted(`${folder.path}/d1.key.pem`)];
    const asDevice = (...argv: string[]) => simulate('--cp', certificate, '--kp', folder.write('locked.pem', key), ...argv);
    expect((await asDevice()).stderr).toMatch(/The key in .* is encrypted\./u);
    expect((await asDevice('--pass', 'wrong')).stderr).toMatch(/holds no private key that the pass phrase opens/u);
    // The recorder is no hub, and refuses the WebSocket: the credentials were good enough to get there.
    expect((await asDevice('--pass', 'secret')).stderr).toMatch(/Unexpected server response: 200|WebSocket/iu);
  });
});

describe('refused with exit code 2', () => {
  test.each<[string[], string]>([
    [['--mc', '0'], 'argument --msg-count/--mc: must be 1 or more.'],
    [['--mi', '0'], 'argument --msg-interval/--mi: must be 1 or more.'],
    [['--rs', 'reject'], 'over MQTT a message can only be completed.'],
    [['--proto', 'amqp'], "'amqp' is not a valid value. Allowed values: http, mqtt."],
    [['--proto', 'http', '--mrc', '201'], 'argument --method-response-code/--mrc: over HTTPS'],
    [['--proto', 'http', '--mrp', '{}'], 'argument --method-response-payload/--mrp: over HTTPS'],
    [['--proto', 'http', '--irp', '{}'], 'argument --init-reported-properties/--irp: over HTTPS'],
    [['--proto', 'http', '--dtmi', 'dtmi:a;1'], 'argument --model-id/--dtmi: only a connection over MQTT'],
    [['--proto', 'http', '-p', 'room=lab'], 'An application property is written iothub-app-room.'],
    [['--dtmi', 'thermostat'], "'thermostat' is not a model ID"],
    [['-p', '$.nope=1'], 'there is no system property $.nope'],
    [['--irp', '[]'], 'argument --init-reported-properties/--irp'],
    [['--mrp', 'neither'], 'argument --method-response-payload/--mrp'],
    [['--cp', 'a.pem'], 'Give the certificate of the device and its private key, or its symmetric key.'],
    [['--key', 'no base64'], 'this is not base64'],
  ])('%j', async (argv, words) => {
    expect(await simulate(...argv)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(words) as string });
    expect(service.requests).toEqual([]);
  });
});

function encrypted(path: string): string {
  return createPrivateKey(readFileSync(path, 'utf8'))
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
    .toString();
}
