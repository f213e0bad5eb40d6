import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operations } from '../../../src/transports/http/muster/openapi/operations.ts';
import { noon } from '../../fixtures/pki/make-certificate.ts';
import { rawPeer, type Answer } from './loopback.ts';
import { apiToken, hubHost, leafOf, openService, root, type TestService } from './service.ts';

let service: TestService;
let document: any;
const ajv = new Ajv2020({ strict: false, validateFormats: false });

beforeAll(async () => {
  service = await openService();
  document = (await service.muster({ path: '/api/v1/openapi.json' })).json;
  ajv.addSchema(document, 'api');
});
afterAll(() => service.close());

const escaped = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

/** The schema of an answer, as the document has it. */
function answerSchema(route: string, status: number, type = 'application/json'): ValidateFunction | undefined {
  const [method = '', path = ''] = route.split(' ');
  const template = path.replaceAll(/:(\w+)/gu, '{$1}');
  const pointer = ['paths', template, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
  return ajv.getSchema(`api#/${pointer.map(escaped).join('/')}`);
}

function expectValid(validate: ValidateFunction | undefined, value: unknown, what: string): void {
  if (validate === undefined) throw new Error(`the document has no schema for ${what}`);
  const isValid = validate(value);
  expect(isValid, `${what}: ${JSON.stringify(validate.errors)}\n${JSON.stringify(value)}`).toBe(true);
}

test('the document is one, and has every route with its role, its parameters and its refusals', () => {
  expect(document).toMatchObject({ openapi: '3.1.0', components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } } });
  const described = Object.entries<Record<string, any>>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  );
  const routes = service.routes.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/gu, '{$1}')}`);
  expect(described.map(({ route }) => route).toSorted()).toEqual(routes.toSorted());
  const ids = described.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { route, operation } of described) {
    const isOpen = operation['x-muster-role'] === 'anyone';
    expect([route, isOpen ? operation.security : document.security]).toEqual([route, isOpen ? [] : [{ token: [] }]]);
    const inPath = [...route.matchAll(/\{(\w+)\}/gu)].map(([, name]) => name);
    const declared = operation.parameters.filter((one: any) => one.in === 'path').map((one: any) => one.name);
    expect([route, declared]).toEqual([route, inPath]);
    if (!isOpen) expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '401', '403', '429', '500', '503']));
  }
});

const leaf = leafOf('sensor-1');
const shared = { certificate: root.pem };
const selectors = [{ kind: 'deviceId', value: 'x' }];

/** Every operation once, in an order in which they can be done. `$` words are what earlier answers gave. */
const script: readonly (readonly [route: string, path: string, body?: object])[] = [
  ['GET /api/v1/health', '/health'],
  ['GET /api/v1/openapi.json', '/openapi.json'],
  ['GET /api/v1/dps', '/dps'],
  ['POST /api/v1/dps', '/dps', { name: 'dps-b', hostName: 'b.localhost' }],
  ['GET /api/v1/dps/:name', '/dps/dps-a'],
  ['PATCH /api/v1/dps/:name', '/dps/dps-b', { ipFilterRules: [{ filterName: 'f', action: 'accept', ipMask: '0.0.0.0/0' }] }],
  ['PUT /api/v1/dps/:name/linked-hubs/:hostName', `/dps/dps-b/linked-hubs/${hubHost}`, {}],
  ['DELETE /api/v1/dps/:name/linked-hubs/:hostName', `/dps/dps-b/linked-hubs/${hubHost}`],
  ['GET /api/v1/dps/:name/policies', '/dps/dps-b/policies'],
  ['POST /api/v1/dps/:name/policies', '/dps/dps-b/policies', { keyName: 'p', rights: 'EnrollmentRead' }],
  ['GET /api/v1/dps/:name/policies/:keyName', '/dps/dps-b/policies/p'],
  ['PATCH /api/v1/dps/:name/policies/:keyName', '/dps/dps-b/policies/p', { rights: ['EnrollmentWrite'] }],
  ['POST /api/v1/dps/:name/policies/:keyName/renew-key', '/dps/dps-b/policies/p/renew-key', { key: 'swap' }],
  ['DELETE /api/v1/dps/:name/policies/:keyName', '/dps/dps-b/policies/p'],
  ['GET /api/v1/dps/:name/shadowed', '/dps/dps-a/shadowed?kind=group'],
  ['PUT /api/v1/dps/:name/certificates/:cert', '/dps/dps-a/certificates/ca', shared],
  ['GET /api/v1/dps/:name/certificates', '/dps/dps-a/certificates'],
  ['GET /api/v1/dps/:name/certificates/:cert', '/dps/dps-a/certificates/ca'],
  ['POST /api/v1/dps/:name/certificates/:cert/generate-verification-code', '/dps/dps-a/certificates/ca/generate-verification-code'],
  ['POST /api/v1/dps/:name/certificates/:cert/verify', '/dps/dps-a/certificates/ca/verify', { certificate: '$proof' }],
  ['DELETE /api/v1/dps/:name/certificates/:cert', '/dps/dps-a/certificates/ca'],
  ['GET /api/v1/hubs', '/hubs'],
  ['POST /api/v1/hubs', '/hubs', { name: 'hub-b' }],
  ['GET /api/v1/hubs/:name', '/hubs/hub-a'],
  ['GET /api/v1/hubs/:name/policies', '/hubs/hub-a/policies'],
  ['POST /api/v1/hubs/:name/policies/:keyName/renew-key', '/hubs/hub-a/policies/registryRead/renew-key', { key: 'secondary' }],
  ['POST /api/v1/explain', '/explain', { subject: 'sensor-1' }],
  ['POST /api/v1/explain', '/explain', { subject: leaf.pem }],
  ['POST /api/v1/explain', '/explain', { subject: 'sensor-1', at: new Date(noon).toISOString() }],
  ['POST /api/v1/explain', '/explain', { subject: '$trackingId' }],
  ['GET /api/v1/decisions/:trackingId', '/decisions/$trackingId'],
  ['POST /api/v1/deprovision', '/deprovision', { device: 'sensor-1', reason: 'lost', dryRun: true }],
  ['POST /api/v1/deprovision', '/deprovision', { device: 'sensor-1', reason: 'lost', ticket: 'OPS-7' }],
  ['POST /api/v1/deprovision', '/deprovision', { device: 'sensor-1', reason: 'lost' }],
  ['GET /api/v1/receipts', '/receipts'],
  ['GET /api/v1/receipts/:id', '/receipts/$receipt'],
  ['POST /api/v1/reinstate', '/reinstate', { device: 'sensor-1', onceUntil: '2099-01-01T00:00:00Z' }],
  ['POST /api/v1/blocks', '/blocks', { selectors, reason: 'lost', expiresAt: '2099-01-01T00:00:00Z' }],
  ['GET /api/v1/blocks', '/blocks?top=1'],
  ['GET /api/v1/blocks/:id', '/blocks/$block'],
  ['DELETE /api/v1/blocks/:id', '/blocks/$block'],
  ['POST /api/v1/runs', '/runs', { query: "SELECT * FROM registrations WHERE registrationId = 'sensor-1'", reason: 'lost', dryRun: true }],
  ['POST /api/v1/runs', '/runs', { devices: ['sensor-1', 'unknown'], reason: 'lost' }],
  ['GET /api/v1/runs', '/runs'],
  ['GET /api/v1/runs/:id', '/runs/$run'],
  ['GET /api/v1/runs/:id/items', '/runs/$run/items'],
  ['POST /api/v1/what-if', '/what-if', { change: { kind: 'group', action: 'disable', id: 'plant', instance: 'dps-a' }, all: true }],
  ['POST /api/v1/what-if', '/what-if', { change: { kind: 'list', text: 'AA'.repeat(32) }, devices: ['sensor-1'] }],
  ['PUT /api/v1/dps/:name/linked-hubs/:hostName', '/dps/dps-b/linked-hubs/gone.localhost', {}],
  ['GET /api/v1/drift', '/drift?top=5&kind=dead-link,deny-not-needed'],
  ['POST /api/v1/drift/mend', '/drift/mend', { top: 5, kinds: ['dead-link'], dryRun: true, reason: 'tidy', ticket: 'OPS-7' }],
  ['POST /api/v1/drift/mend', '/drift/mend', {}],
  ['GET /api/v1/operator', '/operator'],
  ['POST /api/v1/tokens', '/tokens', { name: 'Ada', role: 'reader', expiresAt: '2099-01-01T00:00:00Z' }],
  ['GET /api/v1/tokens', '/tokens'],
  ['DELETE /api/v1/tokens/:id', '/tokens/Ada'],
  ['GET /api/v1/refusals', '/refusals?top=1'],
  ['GET /api/v1/tripwires', '/tripwires?top=1'],
  ['GET /api/v1/tripwires/:device', '/tripwires/sensor-1'],
  ['GET /api/v1/events', '/events?kind=tripwire'],
  ['GET /api/v1/audit', '/audit?top=1000'],
  ['GET /api/v1/audit/head', '/audit/head'],
  ['GET /api/v1/audit/verify', '/audit/verify'],
  ['GET /api/v1/audit/verify', `/audit/verify?head=${'0'.repeat(63)}1`],
  ['GET /api/v1/audit/:sequence', '/audit/1'],
  ['POST /api/v1/audit/prune', '/audit/prune', { before: '2001-01-01T00:00:00Z' }],
];

test('every answer is as the document says, and so is every body that is accepted', async () => {
  await service.provisioning.enrollmentGroups.put('dps-a', 'plant', {
    body: { enrollmentGroupId: 'plant', attestation: { type: 'x509', x509: { signingCertificates: { primary: shared } } } },
    precondition: { kind: 'absent' },
  });
  // Below another one with the same certificate, so that there is something to show.
  await service.provisioning.enrollmentGroups.put('dps-a', 'plant-b', {
    body: { enrollmentGroupId: 'plant-b', attestation: { type: 'x509', x509: { signingCertificates: { primary: shared } } } },
    precondition: { kind: 'absent' },
  });
  const register = (): Promise<Answer> =>
    service.device({
      method: 'PUT',
      path: `/${service.idScope}/registrations/sensor-1/register?api-version=2021-06-01`,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ registrationId: 'sensor-1' }),
      certificate: leaf,
    });
  const known: Record<string, string> = { $trackingId: String((await register()).headers['x-ms-request-id']) };
  const fill = (text: string): string => text.replaceAll(/\$\w+/gu, (word) => known[word] ?? word);
  for (const [route, path, body] of script) {
    // After its deprovisioning, so that there is an attempt to count.
    if (route === 'GET /api/v1/receipts') await register();
    const [method = ''] = route.split(' ');
    const text = body === undefined ? undefined : fill(JSON.stringify(body));
    const answer = await service.muster({ method, path: `/api/v1${fill(path)}`, ...(text === undefined ? {} : { body: text }) });
    learn(known, route, answer);
    const { status, schema } = operations[route]?.answer ?? {};
    expect([route, answer.status, answer.text.slice(0, 300)]).toEqual([route, status, expect.anything()]);
    if (schema === undefined) expect(answer.text).toBe('');
    else expectValid(answerSchema(route, answer.status), answer.json, route);
    if (text !== undefined) expectValid(bodySchema(route), JSON.parse(text), `the body of ${route}`);
  }
  const streams = Object.entries(operations).flatMap(([route, { answer }]) => (answer.stream === true ? [route] : []));
  expect(new Set([...script.map(([route]) => route), ...streams])).toEqual(new Set(Object.keys(operations)));
});

function bodySchema(route: string): ValidateFunction | undefined {
  const [method = '', path = ''] = route.split(' ');
  const pointer = [
    'paths',
    path.replaceAll(/:(\w+)/gu, '{$1}'),
    method.toLowerCase(),
    'requestBody',
    'content',
    'application/json',
    'schema',
  ];
  return ajv.getSchema(`api#/${pointer.map(escaped).join('/')}`);
}

function learn(known: Record<string, string>, route: string, answer: Answer): void {
  if (answer.status > 299 || answer.text === '') return;
  if (route.endsWith('generate-verification-code')) known['$proof'] = proofOf(answer.json.properties.verificationCode);
  if (route === 'POST /api/v1/deprovision' && typeof answer.json.id === 'string') known['$receipt'] = answer.json.id;
  if (route === 'POST /api/v1/blocks') known['$block'] = answer.json.id;
  if (route === 'POST /api/v1/runs') known['$run'] = answer.json.id;
}

const proofOf = (code: string): string => JSON.stringify(leafOf(code).pem).slice(1, -1);

test.each([
  ['GET /api/v1/dps/:name', '/dps/nothing', 404],
  ['POST /api/v1/blocks', '/blocks', 400],
  ['GET /api/v1/audit/:sequence', '/audit/999999', 404],
])('a refusal of %s is as the document says', async (route, path, status) => {
  const [method = ''] = route.split(' ');
  const answer = await service.muster({ method, path: `/api/v1${path}` });
  expect(answer.status).toBe(status);
  expectValid(answerSchema(route, status), answer.json, route);
  expect(document['x-error-codes'][answer.json.error.code]).toBe(status);
});

test.each([
  ['GET /api/v1/hubs/:name/events', '/hubs/hub-a/events?after=0'],
  ['GET /api/v1/refusals/stream', '/refusals/stream?after=0'],
])('an event of %s is as the document says', async (route, path) => {
  await service.store.write(async ({ telemetry, refusals }) => {
    const common = {
      deviceId: 'd',
      transport: 'mqtt',
      address: '192.0.2.1',
      trackingId: 't',
      error: 'e',
      reason: 'r',
      sentence: 's',
    } as const;
    await refusals.append({ ...common, at: service.clock.now(), side: 'hub', place: 'hub-a' });
    await telemetry.append([
      {
        hub: 'hub-a',
        deviceId: 'd',
        generationId: '1',
        enqueuedAt: service.clock.now(),
        source: 'Telemetry',
        authMethod: '{}',
        body: Buffer.from('x'),
        systemProperties: { 'content-type': 'text/plain' },
        applicationProperties: { a: 'b' },
      },
    ]);
  });
  const peer = await rawPeer(service.api.port, `GET /api/v1${path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${apiToken}\r\n\r\n`);
  const text = await peer.until((received) => /^data: .*$/mu.test(received));
  peer.socket.destroy();
  expectValid(answerSchema(route, 200, 'text/event-stream'), JSON.parse(/^data: (.*)$/mu.exec(text)?.[1] ?? ''), route);
});

test('a body that the document forbids is refused', async () => {
  const validate = bodySchema('POST /api/v1/blocks');
  for (const body of [{}, { reason: 'x', more: 1 }, { reason: 'x', selectors: [{ kind: 'shoe size', value: '43' }] }]) {
    expect(validate?.(body)).toBe(false);
    expect((await service.muster({ method: 'POST', path: '/api/v1/blocks', body: JSON.stringify(body) })).status).toBe(400);
  }
});
