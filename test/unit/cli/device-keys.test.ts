import { createHmac } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  createFolder,
  createServerIdentity,
  json,
  muster,
  openRecorder,
  type Outcome,
  type Recorder,
  type TestFolder,
  writeEndpoints,
} from './harness.ts';

const groupKey = '8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==';
const id = 'sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6';
const derived = 'Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=';
const assigned = {
  operationId: '4.1.1',
  status: 'assigned',
  registrationState: { registrationId: id, status: 'assigned', assignedHub: 'hub.example.org', deviceId: id },
};

let folder: TestFolder;
let service: Recorder;
beforeAll(async () => {
  folder = createFolder();
  const identity = await createServerIdentity();
  service = await openRecorder(identity);
  writeEndpoints(folder, identity.ca, { https: service.port, api: 1 });
});
beforeEach(() => {
  service.requests.length = 0;
});
afterAll(async () => {
  await service.close();
  folder.remove();
});

const az = (...argv: string[]): Promise<Outcome> => muster(argv, { env: { MUSTER_DATA: folder.path } });
const withKey = json(200, { type: 'symmetricKey', symmetricKey: { primaryKey: groupKey, secondaryKey: groupKey } });

describe.each(['iot dps enrollment-group compute-device-key', 'iot dps compute-device-key'])('%s', (name) => {
  const words = name.split(' ');

  test('derives the key that the documentation shows, and asks nobody', async () => {
    expect(await az(...words, '--key', groupKey, '--registration-id', id)).toEqual({ code: 0, stdout: `"${derived}"\n`, stderr: '' });
    expect(service.requests).toHaveLength(0);
  });

  test('asks for the key of a group', async () => {
    service.answer = withKey;
    expect((await az(...words, '-n', 'dps-local', '--eid', 'sensors', '--rid', id, '-o', 'tsv')).stdout).toBe(`${derived}\n`);
    expect(service.requests.map(({ method, url }) => [method, url.split('?')[0]])).toEqual([
      ['POST', '/enrollmentGroups/sensors/attestationmechanism'],
    ]);
  });

  test('says what is missing or wrong', async () => {
    expect(await az(...words, '--rid', id)).toMatchObject({ code: 2, stderr: expect.stringContaining('--symmetric-key') });
    expect(await az(...words, '--rid', id, '--key', 'not base64')).toMatchObject({ code: 2, stderr: expect.stringContaining('base64') });
    service.answer = json(200, { type: 'x509', x509: {} });
    expect(await az(...words, '-n', 'dps-local', '--eid', 'sensors', '--rid', id)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no symmetric key'),
    });
  });
});

/** What the token in a request was signed with, if it is for this registration. */
function isSignedWith(key: string, authorization: string | undefined): boolean {
  const fields = new URLSearchParams((authorization ?? '').replace(/^SharedAccessSignature /u, '').replaceAll('+', '%2B'));
  const raw = /sr=([^&]+)/u.exec(authorization ?? '')?.[1] ?? '';
  const expected = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${raw}\n${fields.get('se')}`)
    .digest('base64');
  return (
    fields.get('skn') === 'registration' && fields.get('sr')?.endsWith(`/registrations/${id}`) === true && fields.get('sig') === expected
  );
}

describe('iot device registration create', () => {
  const create = (...argv: string[]): Promise<Outcome> => az('iot', 'device', 'registration', 'create', '--rid', id, ...argv);

  test.each([
    ['a key of the device', ['--key', derived]],
    ['the key of the group, computed', ['--key', groupKey, '--compute-key']],
  ])('registers with %s', async (_, argv) => {
    service.answer = json(200, assigned);
    const outcome = await create(...argv, '--payload', '{"model":7}');
    expect(outcome.stderr).toBe('');
    expect(JSON.parse(outcome.stdout)).toEqual(assigned);
    const [request] = service.requests;
    expect(JSON.parse(request?.body ?? '')).toEqual({ registrationId: id, payload: { model: 7 } });
    expect(isSignedWith(derived, request?.headers.authorization)).toBe(true);
  });

  test.each([
    ['the individual enrollment', [], `/enrollments/${id}/attestationmechanism`, groupKey],
    ['the group', ['--gid', 'sensors'], '/enrollmentGroups/sensors/attestationmechanism', derived],
  ])('looks up the key of %s', async (_, argv, path, key) => {
    service.answer = (request, response) => (request.method === 'POST' ? withKey : json(200, assigned))(request, response);
    expect((await create('-n', 'dps-local', ...argv)).code).toBe(0);
    expect(service.requests[0]?.url.split('?')[0]).toBe(path);
    expect(isSignedWith(key, service.requests[1]?.headers.authorization)).toBe(true);
  });

  test('ends with a sentence when it is refused, disabled, or not told how', async () => {
    service.answer = json(401, { errorCode: 401002, message: 'Unauthorized', trackingId: 't-1' });
    expect(await create('--key', derived)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('401002 Unauthorized (tracking id t-1)'),
    });
    service.answer = json(200, { operationId: '', status: 'disabled', registrationState: { registrationId: id, status: 'disabled' } });
    expect(await create('--key', derived)).toMatchObject({ code: 1, stderr: expect.stringContaining('status disabled') });
    expect(await create()).toMatchObject({ code: 2, stderr: expect.stringContaining('--dps-name') });
    expect(await create('--key', 'x y')).toMatchObject({ code: 2, stderr: expect.stringContaining('base64') });
    expect(await create('--key', derived, '--cp', 'x.pem', '--kp', 'x.pem')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not both'),
    });
  });
});

test('device run wants a certificate or a key, and an id with the key', async () => {
  expect(await az('device', 'run')).toMatchObject({ code: 2, stderr: expect.stringContaining('or its symmetric key') });
  expect(await az('device', 'run', '--symmetric-key', derived)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--registration-id'),
  });
});

test('an enrollment with a TPM may name its storage root key', async () => {
  service.answer = json(200, {});
  await az(
    'iot',
    'dps',
    'enrollment',
    'create',
    '-n',
    'dps-local',
    '--eid',
    'd',
    '--at',
    'tpm',
    '--ek',
    'AAAA',
    '--storage-root-key',
    'BBBB',
  );
  expect(JSON.parse(service.requests[0]?.body ?? '')).toMatchObject({
    attestation: { type: 'tpm', tpm: { endorsementKey: 'AAAA', storageRootKey: 'BBBB' } },
  });
});
