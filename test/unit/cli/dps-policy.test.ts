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

// What `iot dps policy` and `iot dps update` ask Muster's API for, and how they print what it says.

const rule = { filterName: 'office', action: 'Accept', ipMask: '192.0.2.0/24', target: 'all' };
const dps = {
  name: 'dps-local',
  hostName: 'localhost',
  idScope: '0ne00000001',
  allocationPolicy: 'hashed',
  iotHubs: [],
  etag: '"tag-1"',
  ipFilterRules: [rule],
};
const reader = { keyName: 'reader', primaryKey: testKey, secondaryKey: 'c2Vjb25k', rights: ['EnrollmentRead', 'RegistrationStatusRead'] };
const shown = { keyName: 'reader', primaryKey: testKey, rights: 'EnrollmentRead, RegistrationStatusRead', secondaryKey: 'c2Vjb25k' };

let folder: TestFolder;
let api: Recorder;

beforeAll(async () => {
  folder = createFolder();
  api = await openRecorder();
  writeEndpoints(folder, 'no CA is needed without TLS', { https: 8444, api: api.port });
});
beforeEach(() => {
  api.requests.length = 0;
  api.answer = (request, response) => {
    const isList = request.method === 'GET' && request.url.endsWith('/policies');
    const isPolicy = request.url.includes('/policies');
    json(request.method === 'DELETE' ? 204 : 200, request.method === 'DELETE' ? undefined : isList ? [reader] : isPolicy ? reader : dps)(
      request,
      response,
    );
  };
});
afterAll(async () => {
  await api.close();
  folder.remove();
});

const az = (...argv: string[]): Promise<Outcome> => muster([...argv, '--data', folder.path]);
const value = async (...argv: string[]): Promise<unknown> => valueOf(await az(...argv));
const lines = (): readonly string[] => linesOf(api.requests);

const policy = (verb: string, ...argv: string[]) => ['iot', 'dps', 'policy', verb, '--dps-name', 'dps-local', ...argv];
const path = '/api/v1/dps/dps-local/policies';

describe('iot dps policy', () => {
  test.each<[string, string[], string, unknown]>([
    ['list', [], `GET ${path}`, [shown]],
    ['show', ['--pn', 'reader'], `GET ${path}/reader`, shown],
    [
      'create',
      ['--policy-name', 'reader', '-r', 'EnrollmentRead', 'registrationstatusread'],
      `POST ${path} {"keyName":"reader","rights":["EnrollmentRead","RegistrationStatusRead"]}`,
      shown,
    ],
    [
      'create',
      ['-n', 'reader', '--rights', 'EnrollmentRead', '--primary-key', testKey, '--secondary-key', ''],
      `POST ${path} {"keyName":"reader","rights":["EnrollmentRead"],"primaryKey":"${testKey}","secondaryKey":""}`,
      shown,
    ],
    ['update', ['--name', 'reader', '--primary-key', ''], `PATCH ${path}/reader {"primaryKey":""}`, shown],
    ['update', ['--pn', 'reader', '--rights', 'ServiceConfig', '-g', 'rg'], `PATCH ${path}/reader {"rights":["ServiceConfig"]}`, shown],
    ['renew-key', ['--pn', 'reader', '--renew-key', 'swap'], `POST ${path}/reader/renew-key {"key":"swap"}`, shown],
  ])('%s %j', async (verb, argv, line, printed) => {
    expect(await value(...policy(verb, ...argv))).toEqual(printed);
    expect(lines()).toEqual([line]);
  });

  test('delete prints what is left', async () => {
    expect(await value(...policy('delete', '--pn', 'other'))).toEqual([shown]);
    expect(lines()).toEqual([`DELETE ${path}/other`, `GET ${path}`]);
  });

  test.each([
    [policy('update', '--pn', 'reader'), /Nothing to change/u],
    [policy('create', '--pn', 'reader'), /--rights/u],
    [policy('create', '--pn', 'reader', '--rights', 'Everything'), /'Everything' is not a valid value/u],
    [policy('renew-key', '--pn', 'reader'), /--renew-key/u],
    [policy('show'), /--policy-name/u],
  ])('refuses %j', async (argv, sentence) => {
    const outcome = await az(...argv);
    expect([outcome.code, outcome.stdout, api.requests]).toEqual([2, '', []]);
    expect(outcome.stderr).toMatch(sentence);
  });
});

describe('iot dps update', () => {
  const update = (...argv: string[]) => ['iot', 'dps', 'update', '-n', 'dps-local', ...argv];
  const change = (): unknown => JSON.parse(api.requests.at(-1)?.body ?? 'null');

  test('adds, sets and removes IP filter rules under the entity tag that it read', async () => {
    await value(...update('--add', 'properties.ipFilterRules', 'filterName=rest', 'action=Reject', 'ipMask=0.0.0.0/0', 'target=deviceApi'));
    expect(change()).toEqual({ ipFilterRules: [rule, { filterName: 'rest', action: 'Reject', ipMask: '0.0.0.0/0', target: 'deviceApi' }] });
    expect(api.requests.map(({ method, url, headers }) => [method, url, headers['if-match']])).toEqual([
      ['GET', '/api/v1/dps/dps-local', undefined],
      ['PATCH', '/api/v1/dps/dps-local', '"tag-1"'],
    ]);
    await value(...update('--remove', 'properties.ipFilterRules', '0'));
    expect(change()).toEqual({ ipFilterRules: [] });
    await value(...update('--remove', 'properties.ipFilterRules'));
    expect(change()).toEqual({ ipFilterRules: [] });
    await value(...update('--set', 'properties.ipFilterRules[0].action=Reject', 'properties.allocationPolicy=GeoLatency'));
    expect(change()).toEqual({ ipFilterRules: [{ ...rule, action: 'Reject' }], allocationPolicy: 'geoLatency' });
  });

  test('shows the rules as az does', async () => {
    expect(await value('iot', 'dps', 'show', '-n', 'dps-local', '--query', '{etag:etag,rules:properties.ipFilterRules}')).toEqual({
      etag: '"tag-1"',
      rules: [rule],
    });
  });

  test.each([
    [update(), /Nothing to change/u],
    [update('--set', 'properties.idScope=0ne00000002'), /Only properties\.ipFilterRules and properties\.allocationPolicy/u],
    [update('--set', 'tags.site=here'), /Only properties\.ipFilterRules/u],
    [update('--set', 'properties.ipFilterRules[0].action=Reject', 'name=other'), /Only properties\.ipFilterRules/u],
  ])('refuses %j', async (argv, sentence) => {
    const outcome = await az(...argv);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(sentence);
    expect(api.requests.every(({ method }) => method === 'GET')).toBe(true);
  });
});
