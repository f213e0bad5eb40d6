import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  createFolder,
  json,
  linesOf,
  muster,
  openRecorder,
  type Outcome,
  type Recorder,
  type TestFolder,
  testKey,
  valueOf,
  writeEndpoints,
} from './harness.ts';

const dps = {
  name: 'dps-local',
  hostName: 'localhost',
  idScope: '0ne00000001',
  allocationPolicy: 'hashed',
  iotHubs: [{ hostName: 'hub-a.azure-devices.localhost', location: 'local', applyAllocationPolicy: true, allocationWeight: 3 }],
};
const hub = { name: 'hub-a', hostName: 'hub-a.azure-devices.localhost' };
const certificate = { name: 'root', etag: 'AAA', properties: { subject: 'CN=root', isVerified: false, verificationCode: 'C0DE' } };
const policies = [
  { keyName: 'provisioningserviceowner', primaryKey: testKey, secondaryKey: 'c2Vjb25k', rights: ['ServiceConfig'] },
  { keyName: 'reader', primaryKey: 'cmVhZA==', secondaryKey: 'cmVhZDI=', rights: [] },
];

let folder: TestFolder;
let api: Recorder;
let answers: Record<string, unknown>;

beforeAll(async () => {
  folder = createFolder();
  api = await openRecorder();
  writeEndpoints(folder, 'no CA is needed without TLS', { https: 8444, api: api.port });
});

beforeEach(() => {
  api.requests.length = 0;
  answers = {};
  api.answer = (request, response) => {
    const answer = answers[`${request.method} ${request.url}`];
    if (answer === undefined)
      json(404, { error: { code: 'ResourceNotFound', message: `Nothing at ${request.url}.`, trackingId: 'abc' } })(request, response);
    else json(200, answer)(request, response);
  };
});

afterAll(async () => {
  await api.close();
  folder.remove();
});

const az = (...argv: string[]): Promise<Outcome> => muster([...argv, '--data', folder.path]);
const value = async (...argv: string[]): Promise<unknown> => valueOf(await az(...argv));
const lines = (): readonly string[] => linesOf(api.requests);

const shownHub = {
  name: 'hub-a.azure-devices.localhost',
  connectionString: 'HostName=hub-a.azure-devices.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=****',
  location: 'local',
  applyAllocationPolicy: true,
  allocationWeight: 3,
};

describe('provisioning services', () => {
  test('show has the shape of the control plane', async () => {
    answers['GET /api/v1/dps/dps-local'] = dps;
    expect(await value('iot', 'dps', 'show', '-n', 'dps-local.azure-devices-provisioning.net', '-g', 'rg')).toEqual({
      id: '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/muster/providers/Microsoft.Devices/provisioningServices/dps-local',
      etag: null,
      location: 'local',
      name: 'dps-local',
      properties: {
        allocationPolicy: 'Hashed',
        deviceProvisioningHostName: 'localhost',
        idScope: '0ne00000001',
        iotHubs: [shownHub],
        ipFilterRules: [],
        provisioningState: 'Succeeded',
        serviceOperationsHostName: 'localhost',
        state: 'Active',
      },
      resourcegroup: 'muster',
      sku: { capacity: 1, name: 'S1', tier: 'Standard' },
      subscriptionid: '00000000-0000-0000-0000-000000000000',
      tags: {},
      type: 'Microsoft.Devices/provisioningServices',
    });
    expect(api.requests[0]?.headers.authorization).toBe('Bearer the-token-of-a-test');
  });

  test('list and create', async () => {
    answers['GET /api/v1/dps'] = [dps];
    answers['POST /api/v1/dps'] = { ...dps, name: 'dps-two' };
    expect(await value('iot', 'dps', 'list', '--query', '[].name')).toEqual(['dps-local']);
    expect(await value('iot', 'dps', 'create', '-n', 'dps-two', '--host-name', 'two.example', '-l', 'westeurope', '--query', 'name')).toBe(
      'dps-two',
    );
    expect(lines()[1]).toBe('POST /api/v1/dps {"name":"dps-two","hostName":"two.example"}');
  });

  test('one that is not there ends with 3', async () => {
    expect(await az('iot', 'dps', 'show', '-n', 'other')).toEqual({
      code: 3,
      stdout: '',
      stderr: 'ERROR: Nothing at /api/v1/dps/other (404, ResourceNotFound). Tracking id: abc.\n',
    });
  });
});

describe('linked hubs', () => {
  beforeEach(() => {
    answers['GET /api/v1/dps/dps-local'] = dps;
    answers['GET /api/v1/hubs/hub-a'] = hub;
    answers['PUT /api/v1/dps/dps-local/linked-hubs/hub-a.azure-devices.localhost'] = dps;
    answers['DELETE /api/v1/dps/dps-local/linked-hubs/hub-a.azure-devices.localhost'] = dps;
  });

  test.each([
    ['by name', ['--hub-name', 'hub-a'], 1],
    [
      'by connection string',
      ['--connection-string', 'HostName=hub-a.azure-devices.localhost:8444;SharedAccessKeyName=x;SharedAccessKey=y'],
      0,
    ],
  ])('create %s', async (_name, argv, lookups) => {
    expect(await value('iot', 'dps', 'linked-hub', 'create', '--dps-name', 'dps-local', ...argv, '--allocation-weight', '3')).toEqual([
      shownHub,
    ]);
    expect(lines()[lookups]).toBe(
      'PUT /api/v1/dps/dps-local/linked-hubs/hub-a.azure-devices.localhost {"location":"local","applyAllocationPolicy":true,"allocationWeight":3}',
    );
  });

  test('list', async () => expect(await value('iot', 'dps', 'linked-hub', 'list', '--dps-name', 'dps-local')).toEqual([shownHub]));

  test.each(['hub-a', 'hub-a.azure-devices.localhost'])('delete %s', async (name) => {
    expect((await az('iot', 'dps', 'linked-hub', 'delete', '--dps-name', 'dps-local', '--linked-hub', name)).code).toBe(0);
    expect(lines()).toContain('DELETE /api/v1/dps/dps-local/linked-hubs/hub-a.azure-devices.localhost');
  });

  test('show', async () => {
    expect(await value('iot', 'dps', 'linked-hub', 'show', '--dps-name', 'dps-local', '--linked-hub', 'hub-a')).toEqual(shownHub);
  });

  test.each([
    [['--allocation-weight', '7'], '{"location":"local","applyAllocationPolicy":true,"allocationWeight":7}'],
    [['--apply-allocation-policy', 'false'], '{"location":"local","applyAllocationPolicy":false,"allocationWeight":3}'],
    [['--location', 'eastus'], '{"location":"eastus","applyAllocationPolicy":true,"allocationWeight":3}'],
  ])('update %j changes nothing else', async (argv, body) => {
    const shown = await value('iot', 'dps', 'linked-hub', 'update', '--dps-name', 'dps-local', '--linked-hub', 'hub-a', ...argv);
    expect(shown).toEqual(shownHub);
    expect(lines()).toContain(`PUT /api/v1/dps/dps-local/linked-hubs/hub-a.azure-devices.localhost ${body}`);
  });

  test('deleting one that is not linked says which are', async () => {
    expect(await az('iot', 'dps', 'linked-hub', 'delete', '--dps-name', 'dps-local', '--linked-hub', 'hub-local')).toMatchObject({
      code: 3,
      stderr: "ERROR: The hub 'hub-local' is not linked. Linked are: hub-a.azure-devices.localhost.\n",
    });
  });
});

describe('CA certificates', () => {
  const url = '/api/v1/dps/dps-local/certificates/root';
  const target = ['--dps-name', 'dps-local', '--name', 'root'];

  test('deleting by force is said in the address', async () => {
    answers[`DELETE ${url}?force=true`] = certificate;
    expect(await az('iot', 'dps', 'certificate', 'delete', ...target, '--force')).toMatchObject({ code: 0 });
    expect(lines()).toEqual([`DELETE ${url}?force=true`]);
  });

  test('from upload to deletion', async () => {
    const file = folder.write('root.pem', 'PEM text\n');
    for (const line of [`PUT ${url}`, `GET ${url}`, `POST ${url}/generate-verification-code`, `POST ${url}/verify`, `DELETE ${url}`])
      answers[line] = certificate;
    await az('iot', 'dps', 'certificate', 'create', ...target, '--path', file, '--verified');
    await az('iot', 'dps', 'certificate', 'show', ...target);
    const code = await az(
      'iot',
      'dps',
      'certificate',
      'generate-verification-code',
      ...target,
      '-e',
      'AAA',
      '--query',
      'properties.verificationCode',
      '-o',
      'tsv',
    );
    await az('iot', 'dps', 'certificate', 'verify', ...target, '-p', file, '-e', 'AAA');
    const deleted = await az('iot', 'dps', 'certificate', 'delete', ...target);
    expect(code.stdout).toBe('C0DE\n');
    expect(deleted).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(lines()).toEqual([
      `PUT ${url} {"certificate":"PEM text","isVerified":true}`,
      `GET ${url}`,
      `POST ${url}/generate-verification-code`,
      `POST ${url}/verify {"certificate":"PEM text"}`,
      `DELETE ${url}`,
    ]);
    expect(api.requests.map(({ headers }) => headers['if-match'])).toEqual([undefined, undefined, 'AAA', 'AAA', '*']);
  });

  test('list comes inside of an object', async () => {
    answers['GET /api/v1/dps/dps-local/certificates'] = [certificate];
    expect(await value('iot', 'dps', 'certificate', 'list', '--dps-name', 'dps-local')).toMatchObject({
      value: [{ name: 'root', type: 'Microsoft.Devices/provisioningServices/Certificates', properties: certificate.properties }],
    });
  });
});

describe('connection strings', () => {
  beforeEach(() => {
    answers['GET /api/v1/dps/dps-local'] = dps;
    answers['GET /api/v1/dps/dps-local/policies'] = policies;
  });
  const owner = `HostName=localhost:8444;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=${testKey}`;

  test.each<[string[], unknown]>([
    [['-n', 'dps-local'], { connectionString: owner }],
    [[], [{ name: 'dps-local', connectionString: owner }]],
    [
      ['-n', 'dps-local', '--pn', 'Reader', '--kt', 'secondary'],
      { connectionString: 'HostName=localhost:8444;SharedAccessKeyName=reader;SharedAccessKey=cmVhZDI=' },
    ],
    [
      ['-n', 'dps-local', '--all'],
      { connectionString: [owner, 'HostName=localhost:8444;SharedAccessKeyName=reader;SharedAccessKey=cmVhZA=='] },
    ],
  ])('%j', async (argv, shown) => expect(await value('iot', 'dps', 'connection-string', 'show', ...argv)).toEqual(shown));

  test('an unknown policy is not found', async () => {
    expect(await az('iot', 'dps', 'connection-string', 'show', '-n', 'dps-local', '--pn', 'x')).toMatchObject({
      code: 3,
      stderr: "ERROR: There is no shared access policy 'x'. There is: provisioningserviceowner, reader.\n",
    });
  });
});

describe('hubs', () => {
  test('show, list, create', async () => {
    answers['GET /api/v1/hubs/hub-a'] = hub;
    answers['GET /api/v1/hubs'] = [hub];
    answers['POST /api/v1/hubs'] = hub;
    const shown = await value('iot', 'hub', 'show', '-n', 'hub-a');
    expect(shown).toMatchObject({
      name: 'hub-a',
      type: 'Microsoft.Devices/IotHubs',
      resourcegroup: 'muster',
      properties: { hostName: hub.hostName, state: 'Active' },
    });
    expect(await value('iot', 'hub', 'list')).toEqual([shown]);
    expect(await value('iot', 'hub', 'create', '--name', 'hub-a')).toEqual(shown);
    expect(lines()[2]).toBe('POST /api/v1/hubs {"name":"hub-a"}');
  });
});

describe('monitor-events', () => {
  const event = (sequenceNumber: number, deviceId: string, more: object = {}): string =>
    `id: ${sequenceNumber}\ndata: ${JSON.stringify({
      sequenceNumber,
      deviceId,
      enqueuedAt: '2026-01-02T03:04:05.006Z',
      source: 'Telemetry',
      systemProperties: { 'content-type': 'application/json', 'message-id': 'm1' },
      applicationProperties: { level: 'high' },
      body: Buffer.from('{"t":20}').toString('base64'),
      ...more,
    })}\n\n`;

  const stream =
    (...chunks: string[]) =>
    (_request: unknown, response: ServerResponse): void => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': alive\n\n');
      for (const chunk of chunks) response.write(chunk);
    };

  test('prints events as az does and stops after as many as asked for', async () => {
    const [first, second] = [event(1, 'd1'), event(2, 'd2')];
    api.answer = stream(first.slice(0, 50), first.slice(50) + second);
    const outcome = await az('iot', 'hub', 'monitor-events', '-n', 'hub-a', '--mc', '1', '--props', 'all');
    expect(outcome).toMatchObject({ code: 0, stderr: 'Starting event monitor, use ctrl-c to stop...\n' });
    expect(JSON.parse(outcome.stdout)).toEqual({
      event: {
        origin: 'd1',
        module: '',
        interface: '',
        component: '',
        properties: { system: { content_type: 'application/json', message_id: 'm1' }, application: { level: 'high' } },
        annotations: {
          'iothub-connection-device-id': 'd1',
          'iothub-enqueuedtime': Date.UTC(2026, 0, 2, 3, 4, 5, 6),
          'iothub-message-source': 'Telemetry',
          'x-opt-sequence-number': 1,
          'x-opt-offset': '1',
          'x-opt-enqueued-time': Date.UTC(2026, 0, 2, 3, 4, 5, 6),
        },
        payload: { t: 20 },
      },
    });
    expect(lines()).toEqual(['GET /api/v1/hubs/hub-a/events']);
  });

  test.each<[string, string[], string, string[]]>([
    ['one device', ['-d', 'd2'], '?deviceId=d2', ['d2']],
    ['a pattern', ['-d', 'd*2'], '', ['d2', 'd.x2']],
    ['a dot is a dot', ['-d', 'd.*'], '', ['d.x2']],
    ['from a time', ['--et', String(Date.UTC(2026, 0, 2, 3, 4, 5, 6))], '?after=0', ['d1', 'd2', 'd.x2']],
  ])('selects %s', async (_name, argv, query, origins) => {
    api.answer = (_request, response) => {
      stream(
        event(1, 'd1'),
        event(2, 'd2'),
        event(3, 'd.x2'),
        event(4, 'd2', { enqueuedAt: '2020-01-01T00:00:00Z', deviceId: 'old' }),
      )(_request, response);
      response.end();
    };
    const outcome = await az('iot', 'hub', 'monitor-events', '-n', 'hub-a', '--only-show-errors', '-o', 'yaml', ...argv);
    expect([...outcome.stdout.matchAll(/origin: (\S+)/gu)].map(([, origin]) => origin)).toEqual(origins);
    expect(outcome).toMatchObject({
      code: 1,
      stderr: 'ERROR: The service ended the stream of events. Start the command again when the service is back.\n',
    });
    expect(lines()).toEqual([`GET /api/v1/hubs/hub-a/events${query}`]);
  });

  test('silence for as long as --timeout ends it well', async () => {
    api.answer = stream();
    expect(await az('iot', 'hub', 'monitor-events', '-n', 'hub-a', '--timeout', '1', '--only-show-errors')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });

  test('bytes that are no text are not guessed at', async () => {
    api.answer = stream(event(1, 'd1', { body: Buffer.from([0xff, 0xfe]).toString('base64') }));
    const outcome = await az('iot', 'hub', 'monitor-events', '-n', 'hub-a', '--mc', '1');
    expect(JSON.parse(outcome.stdout)).toMatchObject({ event: { payload: '{{non-decodable payload}}' } });
  });

  test('a hub that is not there', async () => {
    expect((await az('iot', 'hub', 'monitor-events', '-n', 'hub-a')).code).toBe(3);
  });
});

describe('endpoints', () => {
  test('prints what the service wrote', async () => {
    const printed = (await value('endpoints', '--json')) as { readonly dps: readonly object[] };
    expect(printed).toMatchObject({ api: { url: `http://localhost:${api.port}` }, ca: `${folder.path}/ca.pem` });
    expect(printed.dps[0]).toEqual({
      name: 'dps-local',
      idScope: '0ne00000001',
      globalEndpoint: 'localhost',
      serviceConnectionString: `HostName=localhost;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=${testKey}`,
    });
    expect((await az('endpoints')).stdout).toContain('  ID scope           0ne00000001\n');
  });

  // The line of README that tells Node whom to trust.
  test.each<[string[], string]>([
    [['--query', 'ca', '-o', 'tsv'], '{ca}\n'],
    [['--query', 'dps[0].idScope'], '"0ne00000001"\n'],
    [['--query', 'hubs[].{name:name}', '-o', 'table'], 'Name\n---------\nhub-local\nhub-a\n'],
  ])('%j gives a script what it asks for', async (argv, printed) => {
    expect(await az('endpoints', ...argv)).toEqual({ code: 0, stderr: '', stdout: printed.replace('{ca}', `${folder.path}/ca.pem`) });
  });

  test('a file that a dead service left behind is not believed', async () => {
    const dead = createFolder();
    const gone = await openRecorder();
    await gone.close();
    await expect(once(connect(gone.port, '127.0.0.1'), 'connect')).rejects.toThrow('ECONNREFUSED');
    writeEndpoints(dead, '', { https: gone.port, api: gone.port });
    const outcome = await muster(['endpoints', '--data', dead.path]);
    dead.remove();
    expect(outcome).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Start it with 'muster start --data ${dead.path}'`) as string,
    });
  });
});
