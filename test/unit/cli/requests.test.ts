import { createHmac, generateKeyPairSync } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  createFolder,
  createServerIdentity,
  json,
  muster,
  openRecorder,
  type Outcome,
  type RecordedRequest,
  type Recorder,
  type TestFolder,
  testKey,
  writeEndpoints,
} from './harness.ts';

// The wire is that of az (shared reference of genuine clients, chapter 6).
let folder: TestFolder;
let service: Recorder;
let env: { readonly MUSTER_DATA: string };
let certificate: string;
const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----';

beforeAll(async () => {
  folder = createFolder();
  const identity = await createServerIdentity();
  service = await openRecorder(identity);
  writeEndpoints(folder, identity.ca, { https: service.port, api: 1 });
  env = { MUSTER_DATA: folder.path };
  certificate = folder.write('x.pem', `${pem}\n\n`);
});

beforeEach(() => {
  service.requests.length = 0;
  service.answer = json(200, { etag: 'AAA' });
});

afterAll(async () => {
  await service.close();
  folder.remove();
});

const az = (...argv: string[]): Promise<Outcome> => muster(argv, { env });

/** The only request that was made. */
function only(): RecordedRequest {
  expect(service.requests).toHaveLength(1);
  return service.requests[0] ?? expect.fail('nothing was sent');
}

const bodyOf = (request: RecordedRequest): unknown => JSON.parse(request.body);

function checkToken(authorization: string | undefined, host: string, policy: string): void {
  const fields = new URLSearchParams(authorization?.replace('SharedAccessSignature ', ''));
  expect(authorization).toMatch(/^SharedAccessSignature sr=[^&]+&sig=[^&]+&se=\d+&skn=[^&]+$/u);
  expect(fields.get('sr')).toBe(host);
  expect(fields.get('skn')).toBe(policy);
  const expiry = fields.get('se') ?? '';
  const signature = createHmac('sha256', Buffer.from(testKey, 'base64'))
    .update(`${encodeURIComponent(host)}\n${expiry}`)
    .digest('base64');
  expect(fields.get('sig')).toBe(signature);
  const secondsLeft = Number(expiry) - Date.now() / 1000;
  expect(secondsLeft).toBeGreaterThan(590);
  expect(secondsLeft).toBeLessThanOrEqual(600);
}

describe('the two commands of the exercise, word for word', () => {
  const body = {
    registrationId: 'disallow-002',
    optionalDeviceInformation: {},
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: pem } } } },
    capabilities: { iotEdge: false },
    initialTwin: { tags: {}, properties: { desired: {} } },
    provisioningStatus: 'disabled',
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
  };
  const disallow = () => [
    '--enrollment-id',
    'disallow-002',
    '--attestation-type',
    'x509',
    '--certificate-path',
    certificate,
    '--provisioning-status',
    'disabled',
  ];

  test.each([
    ['--dps-name', () => ['--dps-name', 'dps-local']],
    [
      '--login',
      () => ['--login', `HostName=localhost:${service.port};SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=${testKey}`],
    ],
  ])('enrollment create with %s', async (_name, target) => {
    service.answer = json(200, { ...body, etag: '"abc"' });
    const outcome = await az('iot', 'dps', 'enrollment', 'create', ...target(), ...disallow());
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ registrationId: 'disallow-002', etag: '"abc"' });
    const request = only();
    expect(`${request.method} ${request.url}`).toBe('PUT /enrollments/disallow-002?api-version=2021-10-01');
    expect(request.body).toBe(JSON.stringify(body));
    expect(request.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      accept: 'application/json',
      'accept-language': 'en-US',
    });
    expect(request.headers['x-ms-client-request-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u);
    expect(request.headers).not.toHaveProperty('if-match');
    checkToken(request.headers.authorization, `localhost:${service.port}`, 'provisioningserviceowner');
  });

  test.each([
    ['--hub-name', () => ['--hub-name', 'hub-local']],
    ['--login', () => ['--login', `HostName=localhost:${service.port};SharedAccessKeyName=iothubowner;SharedAccessKey=${testKey}`]],
  ])('device-identity delete with %s', async (_name, target) => {
    service.answer = json(204, undefined);
    const outcome = await az('iot', 'hub', 'device-identity', 'delete', ...target(), '--device-id', 'sensor-thl-002');
    expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' });
    const request = only();
    expect(`${request.method} ${request.url}`).toBe('DELETE /devices/sensor-thl-002?api-version=2021-04-12');
    expect(request.headers).toMatchObject({ 'if-match': '"*"', 'content-length': '0' });
    expect(request.body).toBe('');
    checkToken(request.headers.authorization, `localhost:${service.port}`, 'iothubowner');
  });
});

describe('names that az takes for a hub', () => {
  test.each(['hub-a', 'HUB-A', 'hub-a.azure-devices.localhost', 'hub-a.azure-devices.net'])('%s', async (name) => {
    expect(await az('iot', 'hub', 'device-identity', 'show', '-n', name, '-d', 'd', '--query', 'hub', '-o', 'tsv')).toMatchObject({
      code: 0,
      stdout: 'hub-a.azure-devices.localhost\n',
    });
    expect(only().headers.host).toBe(`hub-a.azure-devices.localhost:${service.port}`);
  });

  test('an unknown one is not found, and the known ones are named', async () => {
    expect(await az('iot', 'hub', 'device-identity', 'show', '-n', 'hub-z', '-d', 'd')).toMatchObject({
      code: 3,
      stderr: `ERROR: There is no hub 'hub-z' in ${folder.path}. There is: hub-local, hub-a.\n`,
    });
  });
});

describe('requests as az sends them', () => {
  test.each<[string, string[], string, unknown, string | undefined]>([
    [
      'enrollment delete',
      ['iot', 'dps', 'enrollment', 'delete', '-n', 'dps-local', '--eid', 'a b'],
      'DELETE /enrollments/a%20b',
      undefined,
      '*',
    ],
    [
      'with an etag',
      ['iot', 'dps', 'enrollment', 'delete', '-n', 'dps-local', '--eid', 'e', '-e', '"x"'],
      'DELETE /enrollments/e',
      undefined,
      '"x"',
    ],
    [
      'group delete',
      ['iot', 'dps', 'enrollment-group', 'delete', '-n', 'dps-local', '--gid', 'g'],
      'DELETE /enrollmentGroups/g',
      undefined,
      '*',
    ],
    [
      'group show',
      ['iot', 'dps', 'enrollment-group', 'show', '-n', 'dps-local', '--gid', 'g'],
      'GET /enrollmentGroups/g',
      undefined,
      undefined,
    ],
    [
      'record show',
      ['iot', 'dps', 'enrollment', 'registration', 'show', '-n', 'dps-local', '--eid', 'e'],
      'GET /registrations/e',
      undefined,
      undefined,
    ],
    [
      'record delete',
      ['iot', 'dps', 'enrollment-group', 'registration', 'delete', '-n', 'dps-local', '--rid', 'r'],
      'DELETE /registrations/r',
      undefined,
      '*',
    ],
    ['twin show', ['iot', 'hub', 'device-twin', 'show', '-n', 'hub-local', '-d', 'd'], 'GET /twins/d', undefined, undefined],
    [
      'twin patch',
      ['iot', 'hub', 'device-twin', 'update', '-n', 'hub-local', '-d', 'd', '--desired', '{"a":{"b":null}}', '--tags', "{'site': 'thl'}"],
      'PATCH /twins/d',
      { properties: { desired: { a: { b: null } } }, tags: { site: 'thl' } },
      '"*"',
    ],
    [
      'twin replace',
      ['iot', 'hub', 'device-twin', 'replace', '-n', 'hub-local', '-d', 'd', '-j', '{"tags":{}}', '-e', 'x'],
      'PUT /twins/d',
      { tags: {} },
      '"x"',
    ],
    [
      'device create',
      ['iot', 'hub', 'device-identity', 'create', '-n', 'hub-local', '-d', 'd'],
      'PUT /devices/d',
      { deviceId: 'd', status: 'enabled', authentication: { symmetricKey: {}, type: 'sas' }, capabilities: { iotEdge: false } },
      undefined,
    ],
    [
      'device create by thumbprint',
      [
        'iot',
        'hub',
        'device-identity',
        'create',
        '-n',
        'hub-local',
        '-d',
        'd',
        '--am',
        'x509_thumbprint',
        '--ptp',
        'AB',
        '--status',
        'disabled',
      ],
      'PUT /devices/d',
      {
        deviceId: 'd',
        status: 'disabled',
        authentication: { x509Thumbprint: { primaryThumbprint: 'AB' }, type: 'selfSigned' },
        capabilities: { iotEdge: false },
      },
      undefined,
    ],
  ])('%s', async (_name, argv, line, body, ifMatch) => {
    expect((await az(...argv)).code).toBe(0);
    const request = only();
    expect(`${request.method} ${request.url.replace(/\?api-version=\d{4}-\d\d-\d\d$/u, '')}`).toBe(line);
    expect(request.body === '' ? undefined : bodyOf(request)).toEqual(body);
    expect(request.headers['if-match']).toBe(ifMatch);
  });

  test.each<[string, string[], unknown]>([
    ['in line', ['--cp', 'FILE'], { type: 'x509', x509: { signingCertificates: { primary: { certificate: pem } } } }],
    ['secondary in line', ['--scp', 'FILE'], { type: 'x509', x509: { signingCertificates: { secondary: { certificate: pem } } } }],
    ['by name', ['--ca-name', 'root'], { type: 'x509', x509: { caReferences: { primary: 'root' } } }],
    ['by key', ['--pk', 'cA==', '--sk', 'cw=='], { type: 'symmetricKey', symmetricKey: { primaryKey: 'cA==', secondaryKey: 'cw==' } }],
    ['by generated key', [], { type: 'symmetricKey', symmetricKey: {} }],
  ])('group create %s', async (_name, argv, attestation) => {
    const given = argv.map((word) => (word === 'FILE' ? certificate : word));
    expect((await az('iot', 'dps', 'enrollment-group', 'create', '-n', 'dps-local', '--gid', 'g', ...given)).code).toBe(0);
    expect(bodyOf(only())).toEqual({
      enrollmentGroupId: 'g',
      attestation,
      capabilities: { iotEdge: false },
      initialTwin: { tags: {}, properties: { desired: {} } },
      reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
    });
  });

  test('every setting of an enrollment finds its place', async () => {
    const settings = [
      '--rp',
      'reprovisionandresetdata',
      '--tags',
      '{"a":1}',
      '--props',
      '{"b":2}',
      '--ee',
      '--ap',
      'hashed',
      '--ih',
      'h1 h2',
      '--info',
      '{"c":3}',
    ];
    await az('iot', 'dps', 'enrollment', 'create', '-n', 'dps-local', '--eid', 'e', '--at', 'tpm', '--ek', 'EK', '-d', 'dev', ...settings);
    expect(bodyOf(only())).toEqual({
      registrationId: 'e',
      deviceId: 'dev',
      optionalDeviceInformation: { c: 3 },
      attestation: { type: 'tpm', tpm: { endorsementKey: 'EK' } },
      capabilities: { iotEdge: true },
      initialTwin: { tags: { a: 1 }, properties: { desired: { b: 2 } } },
      reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
      allocationPolicy: 'hashed',
      iotHubs: ['h1', 'h2'],
    });
  });

  test('a certificate in DER goes out as base64', async () => {
    const file = folder.write('x.cer', Buffer.from([0x30, 0x82, 0xff, 0xfe]));
    await az('iot', 'dps', 'enrollment', 'create', '-n', 'dps-local', '--eid', 'e', '--at', 'x509', '--cp', file);
    expect(bodyOf(only())).toMatchObject({ attestation: { x509: { clientCertificates: { primary: { certificate: 'MIL//g==' } } } } });
  });
});

describe('updates read first and send everything back', () => {
  const entry = {
    registrationId: 'e',
    etag: '"v1"',
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { info: { sha1Thumbprint: 'AB' } }, secondary: null } } },
    provisioningStatus: 'disabled',
    registrationState: { status: 'assigned' },
    createdDateTimeUtc: 'then',
    lastUpdatedDateTimeUtc: 'now',
    iotHubs: null,
  };

  test('enrollment update', async () => {
    service.answer = json(200, entry);
    expect((await az('iot', 'dps', 'enrollment', 'update', '-n', 'dps-local', '--eid', 'e', '--ps', 'enabled')).code).toBe(0);
    const [read, write] = service.requests;
    expect(read?.method).toBe('GET');
    expect(write).toMatchObject({ method: 'PUT', headers: { 'if-match': '*' } });
    expect(JSON.parse(write?.body ?? '')).toEqual({
      registrationId: 'e',
      etag: '"v1"',
      attestation: entry.attestation,
      provisioningStatus: 'enabled',
    });
  });

  const target = ['-n', 'dps-local', '--eid', 'e'];
  test.each([
    ['enrollment delete', ['iot', 'dps', 'enrollment', 'delete', ...target]],
    ['enrollment-group delete', ['iot', 'dps', 'enrollment-group', 'delete', ...target]],
    ['enrollment update', ['iot', 'dps', 'enrollment', 'update', ...target, '--ps', 'enabled']],
    ['enrollment-group update', ['iot', 'dps', 'enrollment-group', 'update', ...target, '--ps', 'enabled']],
  ])('%s asks to be refused where a device would come back, unless --readmit is given', async (_name, command) => {
    service.answer = json(200, entry);
    expect((await az(...command)).code).toBe(0);
    expect(service.requests.at(-1)?.headers['x-muster-readmit']).toBe('refuse');
    expect((await az(...command, '--readmit')).code).toBe(0);
    expect(service.requests.at(-1)?.headers).not.toHaveProperty('x-muster-readmit');
  });

  test.each(['enrollment', 'enrollment-group'])(
    '%s list and show ask which entries never decide; update does not send that back',
    async (group) => {
      service.answer = json(200, [{ registrationId: 'e', shadowedBy: 'individual deny' }]);
      const listed = await az('iot', 'dps', group, 'list', '-n', 'dps-local', '-o', 'table');
      expect(listed.stdout).toMatch(/ShadowedBy[^]*individual deny/u);
      expect(service.requests.at(-1)?.headers['x-muster-shadows']).toBe('show');
      service.answer = json(200, entry);
      await az('iot', 'dps', group, 'show', ...target);
      expect(service.requests.at(-1)?.headers['x-muster-shadows']).toBe('show');
      await az('iot', 'dps', group, 'update', ...target, '--ps', 'disabled');
      for (const { headers } of service.requests.slice(-2)) expect(headers).not.toHaveProperty('x-muster-shadows');
    },
  );

  test('a refusal of what would let a device in again names the flag', async () => {
    const message = "sensor-1 is let in by the enrollment group 'plant'.";
    service.answer = json(409, { errorCode: 409900, trackingId: 'abc', message, timestampUtc: 'now' });
    expect(await az('iot', 'dps', 'enrollment', 'delete', ...target)).toEqual({
      code: 1,
      stdout: '',
      stderr: `ERROR: ${message.slice(0, -1)} (409, 409900). Give --readmit if that is meant. Tracking id: abc.\n`,
    });
  });

  test('a certificate is removed and another put in, under an etag', async () => {
    service.answer = json(200, entry);
    await az('iot', 'dps', 'enrollment', 'update', '-n', 'dps-local', '--eid', 'e', '--rc', '--scp', certificate, '--etag', 'v1');
    const write = service.requests[1];
    expect(write?.headers['if-match']).toBe('v1');
    expect(JSON.parse(write?.body ?? '')).toMatchObject({
      attestation: { type: 'x509', x509: { clientCertificates: { secondary: { certificate: pem } } } },
    });
    expect(write?.body).not.toContain('sha1Thumbprint');
  });

  test('the last certificate cannot be removed', async () => {
    service.answer = json(200, entry);
    const outcome = await az('iot', 'dps', 'enrollment', 'update', '-n', 'dps-local', '--eid', 'e', '--rc');
    expect(outcome).toMatchObject({
      code: 2,
      stderr: 'ERROR: This would leave the enrollment without any certificate. Provide at least one.\n',
    });
    expect(service.requests).toHaveLength(1);
  });

  test('symmetric keys are fetched, so that they are not lost', async () => {
    service.answer = (request, response) =>
      json(
        200,
        request.method === 'POST'
          ? { type: 'symmetricKey', symmetricKey: { primaryKey: 'cA==', secondaryKey: 'cw==' } }
          : { enrollmentGroupId: 'g', attestation: { type: 'symmetricKey' } },
      )(request, response);
    await az('iot', 'dps', 'enrollment-group', 'update', '-n', 'dps-local', '--gid', 'g', '--pk', 'bmV3');
    expect(service.requests.map(({ method, url }) => `${method} ${url.split('?')[0]}`)).toEqual([
      'GET /enrollmentGroups/g',
      'POST /enrollmentGroups/g/attestationmechanism',
      'PUT /enrollmentGroups/g',
    ]);
    expect(JSON.parse(service.requests[2]?.body ?? '')).toMatchObject({
      attestation: { symmetricKey: { primaryKey: 'bmV3', secondaryKey: 'cw==' } },
    });
  });

  test('device-identity update', async () => {
    service.answer = json(200, {
      deviceId: 'd',
      etag: 'x',
      status: 'enabled',
      statusReason: null,
      connectionState: 'Connected',
      authentication: { type: 'certificateAuthority', symmetricKey: { primaryKey: null, secondaryKey: null }, x509Thumbprint: {} },
      capabilities: { iotEdge: false },
    });
    await az('iot', 'hub', 'device-identity', 'update', '-n', 'hub-local', '-d', 'd', '--set', 'status=disabled', 'statusReason=stolen');
    const write = service.requests[1];
    expect(write).toMatchObject({ method: 'PUT', headers: { 'if-match': '"*"' } });
    expect(JSON.parse(write?.body ?? '')).toEqual({
      deviceId: 'd',
      status: 'disabled',
      statusReason: 'stolen',
      authentication: { type: 'certificateAuthority' },
      capabilities: { iotEdge: false },
    });
  });

  test('device-twin update --set replaces what an operator owns', async () => {
    service.answer = json(200, {
      deviceId: 'd',
      tags: { a: 1, b: 2 },
      properties: { desired: { x: 1, $version: 3, $metadata: {} }, reported: { y: 1 } },
    });
    await az('iot', 'hub', 'device-twin', 'update', '-n', 'hub-local', '-d', 'd', '--set', 'properties.desired.x=2', '--remove', 'tags.a');
    expect(service.requests[1]).toMatchObject({ method: 'PUT' });
    expect(JSON.parse(service.requests[1]?.body ?? '')).toEqual({ tags: { b: 2 }, properties: { desired: { x: 2 } } });
  });
});

describe('queries follow the pages', () => {
  const pages: Record<string, { items: unknown[]; next?: string }> = {
    '': { items: [1, 2], next: 'p2' },
    p2: { items: [3, 4], next: 'p3' },
    p3: { items: [5] },
  };

  beforeEach(() => {
    service.answer = (request, response) => {
      const page = pages[String(request.headers['x-ms-continuation'] ?? '')] ?? { items: [] };
      json(200, page.items, page.next === undefined ? {} : { 'x-ms-continuation': page.next })(request, response);
    };
  });

  test('to the end', async () => {
    const outcome = await az('iot', 'dps', 'enrollment', 'list', '-n', 'dps-local');
    expect(JSON.parse(outcome.stdout)).toEqual([1, 2, 3, 4, 5]);
    expect(service.requests.map(({ method, url, body }) => [method, url, body])).toEqual(
      Array.from({ length: 3 }, () => ['POST', '/enrollments/query?api-version=2021-10-01', '{"query":"SELECT *"}']),
    );
    expect(service.requests[0]?.headers).not.toHaveProperty('x-ms-max-item-count');
  });

  test('as far as --top goes', async () => {
    const outcome = await az('iot', 'dps', 'enrollment-group', 'list', '-n', 'dps-local', '--top', '3');
    expect(JSON.parse(outcome.stdout)).toEqual([1, 2, 3]);
    expect(service.requests.map(({ headers }) => headers['x-ms-max-item-count'])).toEqual(['3', '1']);
  });

  test('of the records of a group, without a body', async () => {
    await az('iot', 'dps', 'enrollment-group', 'registration', 'list', '-n', 'dps-local', '--gid', 'g');
    expect(service.requests[0]).toMatchObject({ method: 'POST', url: '/registrations/g/query?api-version=2021-10-01', body: '' });
  });

  test('of the devices of a hub', async () => {
    await az('iot', 'hub', 'device-identity', 'list', '-n', 'hub-local', '--ee');
    expect(service.requests[0]).toMatchObject({
      url: '/devices/query?api-version=2021-04-12',
      body: '{"query":"select * from devices where capabilities.iotEdge = true"}',
    });
  });
});

describe('refusals of the service', () => {
  test.each<[string, number, unknown, number, string]>([
    [
      'provisioning',
      404,
      { errorCode: 404201, trackingId: 'abc', message: 'Enrollment not found.' },
      3,
      'Enrollment not found (404, 404201). Tracking id: abc.',
    ],
    [
      'stale etag',
      412,
      { errorCode: 412001, message: 'ETag is invalid' },
      1,
      'ETag is invalid (412, 412001). Read it again and use its new etag.',
    ],
    [
      'hub',
      404,
      { Message: 'ErrorCode:DeviceNotFound;E2', ExceptionMessage: 'Tracking ID:a1b2-c3d4-TimeStamp:now' },
      3,
      'E2 (404, DeviceNotFound). Tracking id: a1b2-c3d4.',
    ],
    ['no words', 500, undefined, 1, 'The service refused the request (500).'],
    [
      'a wrong key',
      401,
      { errorCode: 401002, message: 'Unauthorized' },
      1,
      'Unauthorized (401, 401002). Check the policy name and key, and the clock of this machine.',
    ],
  ])('%s', async (_name, status, body, code, sentence) => {
    service.answer = json(status, body);
    expect(await az('iot', 'dps', 'enrollment', 'show', '-n', 'dps-local', '--eid', 'e')).toEqual({
      code,
      stdout: '',
      stderr: `ERROR: ${sentence}\n`,
    });
  });
});

describe('what cannot be sent', () => {
  test.each<[string, string[], number, string]>([
    ['no target', ['iot', 'dps', 'enrollment', 'list'], 2, 'the following arguments are required: --dps-name/-n or --login/-l.'],
    [
      'half a connection string',
      ['iot', 'dps', 'enrollment', 'list', '-l', 'HostName=x'],
      2,
      'argument --login/-l: The connection string has no SharedAccessKeyName;',
    ],
    [
      'a file that is not there',
      ['iot', 'dps', 'enrollment', 'create', '-n', 'dps-local', '--eid', 'e', '--at', 'x509', '--cp', '/nowhere.pem'],
      1,
      'The certificate file /nowhere.pem does not exist.',
    ],
    [
      'x509 without a certificate',
      ['iot', 'dps', 'enrollment', 'create', '-n', 'dps-local', '--eid', 'e', '--at', 'x509'],
      2,
      'needs --certificate-path',
    ],
    [
      'static without a hub',
      ['iot', 'dps', 'enrollment-group', 'create', '-n', 'dps-local', '--gid', 'g', '--ap', 'static'],
      2,
      'needs the hub in --iot-hubs',
    ],
    [
      'hubs without a policy',
      ['iot', 'dps', 'enrollment-group', 'create', '-n', 'dps-local', '--gid', 'g', '--ih', 'h'],
      2,
      '--iot-hubs needs --allocation-policy',
    ],
    [
      'tags that are no JSON',
      ['iot', 'hub', 'device-twin', 'update', '-n', 'hub-local', '-d', 'd', '--tags', '{a'],
      2,
      'argument --tags is not JSON',
    ],
    [
      'a file of JSON that is not there',
      ['iot', 'hub', 'device-twin', 'update', '-n', 'hub-local', '-d', 'd', '--tags', './nowhere.json'],
      2,
      "argument --tags: './nowhere.json' is neither JSON nor a file that exists.",
    ],
    ['an option in front', ['--data', '/x', 'iot', 'dps', 'list'], 2, "Options go behind the command: '--data' stands in front of it."],
    ['an update of nothing', ['iot', 'hub', 'device-twin', 'update', '-n', 'hub-local', '-d', 'd'], 2, 'Say what to update'],
    [
      'one key of two',
      ['iot', 'hub', 'device-identity', 'create', '-n', 'hub-local', '-d', 'd', '--pk', 'cA=='],
      2,
      'Provide both --primary-key and --secondary-key',
    ],
    ['a query that is none', ['iot', 'dps', 'enrollment', 'list', '-n', 'dps-local', '--query', '[?'], 2, 'is not a JMESPath expression'],
  ])('%s', async (_name, argv, code, words) => {
    const outcome = await az(...argv);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toBe('');
    expect(outcome.stderr).toContain(words);
    expect(service.requests).toEqual([]);
  });
});

describe('files that are given for a certificate', () => {
  const upload = (path: string): Promise<Outcome> =>
    az('iot', 'dps', 'enrollment', 'create', '-n', 'dps-local', '--eid', 'e', '--at', 'x509', '--cp', path);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const keyDer = privateKey.export({ type: 'pkcs8', format: 'der' });

  test.each<[string, string | Uint8Array, string]>([
    ['a private key', keyPem, 'holds a private key, not a certificate. Nothing was sent.'],
    ['one in DER', keyDer, 'holds a private key, not a certificate. Nothing was sent.'],
    ['a public key', publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'holds a public key, not a certificate.'],
    ['nothing', '', 'is empty.'],
    ['half a PEM', '-----BEGIN CERTIFICATE-----\nMIIB', 'is cut off'],
  ])('%s is not sent', async (_name, content, words) => {
    const path = folder.write('given', content);
    const outcome = await upload(path);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^ERROR: [^\n]+\n$/u);
    expect(outcome.stderr).toContain(path);
    expect(outcome.stderr).toContain(words);
    expect(service.requests).toEqual([]);
  });

  test('of a file with certificate and key, the key stays here', async () => {
    await upload(folder.write('both.pem', `${keyPem}${pem}\n`));
    expect(only().body).toContain('BEGIN CERTIFICATE');
    expect(only().body).not.toContain('PRIVATE KEY');
  });
});

describe('@file', () => {
  test('stands for what is in the file, for every option, as in az', async () => {
    const login = folder.write('login.txt', `HostName=localhost:${service.port};SharedAccessKeyName=p;SharedAccessKey=${testKey}\n`);
    expect(await az('iot', 'dps', 'enrollment', 'show', `--login=@${login}`, '--eid', 'e')).toMatchObject({ code: 0 });
    expect(await az('iot', 'dps', 'enrollment', 'show', '--login', `@${login}`, '--eid', 'e')).toMatchObject({ code: 0 });
    checkToken(service.requests[1]?.headers.authorization, `localhost:${service.port}`, 'p');
  });

  test('is itself where there is no such file', async () => {
    await az('iot', 'hub', 'device-identity', 'show', '-n', 'hub-local', '-d', '@home');
    expect(only().url).toContain('/devices/%40home?');
  });
});

describe('the way to the service', () => {
  test('nobody there', async () => {
    const outcome = await az(
      'iot',
      'dps',
      'enrollment',
      'list',
      '-l',
      `HostName=localhost:1;SharedAccessKeyName=p;SharedAccessKey=${testKey}`,
    );
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: "ERROR: Nothing answers at https://localhost:1. Start the service with 'muster start', or check --data and --login.\n",
    });
  });

  test('no data folder', async () => {
    const outcome = await muster(['iot', 'dps', 'enrollment', 'list', '-n', 'x', '--data', '/nowhere']);
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining("Start it with 'muster start --data /nowhere'") as string });
  });

  test('a server that nobody vouches for is not spoken to; NODE_EXTRA_CA_CERTS vouches', async () => {
    const login = `HostName=localhost:${service.port};SharedAccessKeyName=p;SharedAccessKey=${testKey}`;
    const argv = ['iot', 'dps', 'enrollment', 'show', '-l', login, '--eid', 'e'];
    const refused = await muster(argv);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not trusted') as string });
    expect(service.requests).toEqual([]);
    const trusted = await muster(argv, { env: { NODE_EXTRA_CA_CERTS: `${folder.path}/ca.pem` } });
    expect(trusted.code).toBe(0);
  });

  test('keys and tokens never reach the detail of --verbose', async () => {
    const outcome = await az('iot', 'dps', 'enrollment', 'show', '-n', 'dps-local', '--eid', 'e', '--debug');
    expect(outcome.stderr).toContain('GET https://localhost');
    expect(outcome.stderr).not.toMatch(/sig=|SharedAccess/u);
  });
});
