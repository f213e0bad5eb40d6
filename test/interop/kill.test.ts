import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSasToken } from '../../src/access/sas-token.ts';
import { parseConnectionString } from '../../src/contracts/connection-string.ts';
import { hours, instant, plus } from '../../src/kernel/clock.ts';
import { createDeviceCertificate, createRootCertificate, type IssuedCertificate } from '../../src/pki/issue.ts';
import { randomIds } from '../../src/runtime/random-ids.ts';
import { callHttps, type HttpsAnswer } from './harness/https.ts';
import { missingFromEvents } from './harness/stored-events.ts';
import { removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// The service is killed with SIGKILL in the middle of a storm, many times. Whatever it acknowledged must be there after the
// last start, and no device may exist in halves: a record without an identity, an identity without a record or a twin.

const kills = 20;
const pool = 8;
const folder = temporaryFolder();
const data = join(folder, 'data');
const hubHost = 'localhost';
// Twenty starts and a storm between them: a machine that is busy otherwise may take minutes.
const patience = 10 * 60_000;

let service: RunningService;
let ca: string;
let root: IssuedCertificate;
const acknowledged = { registrations: new Set<string>(), messages: new Set<string>() };
let nextDevice = 0;

beforeAll(async () => {
  root = await createRootCertificate({ commonName: 'storm root', ...validity(), keyType: 'p256' });
  service = await startService(data);
  ca = readFileSync(service.endpoints.ca, 'utf8');
  const group = {
    enrollmentGroupId: 'storm',
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: root.certificatePem } } } },
    initialTwin: { tags: { site: 'storm' } },
  };
  const created = await operator('PUT', '/enrollmentGroups/storm?api-version=2021-10-01', group);
  expect(created.status).toBe(200);
});
afterAll(async () => {
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test(`what was acknowledged survives ${kills} kills`, { timeout: patience }, async () => {
  for (let kill = 0; kill < kills; kill++) {
    const storm = Promise.all(Array.from({ length: pool }, () => worker()));
    // Killed at a different number of acknowledgements each time: the moment within a commit is left to chance.
    const enough = acknowledged.registrations.size + acknowledged.messages.size + 10 + ((kill * 7) % 23);
    // A worker that fails for another reason than the kill ends the storm, and the wait with it.
    await Promise.race([acknowledgements(enough), storm]);
    await service.stop('SIGKILL');
    await storm;
    service = await startService(data);
    expect(service.output()).toMatch(/did not shut down cleanly/u);
    await lastOperationIsKnown();
  }

  expect(acknowledged.registrations.size).toBeGreaterThan(kills);
  const records = new Map((await all('dps', '/registrations/storm/query', undefined)).map((record) => [record['registrationId'], record]));
  const devices = new Set((await devicesOfHub()).map((device) => device['deviceId']));
  for (const id of acknowledged.registrations) expect(records.get(id)).toMatchObject({ status: 'assigned', deviceId: id });
  expect(new Set(records.keys())).toEqual(devices);
  const twins = await all('hub', '/devices/query', { query: 'SELECT * FROM devices' });
  expect(new Set(twins.map((twin) => twin['deviceId']))).toEqual(devices);
  expect(twins.filter((twin) => (twin['tags'] as { site?: string }).site !== 'storm')).toEqual([]);

  expect(acknowledged.messages.size).toBeGreaterThan(kills);
  expect(await missingFromEvents(service, acknowledged.messages)).toEqual([]);
});

const waiting: { readonly enough: number; readonly tell: () => void }[] = [];

/** Resolves once that many registrations and messages were acknowledged in all. */
function acknowledgements(enough: number): Promise<void> {
  return new Promise((tell) => waiting.push({ enough, tell }));
}

function acknowledge(kind: keyof typeof acknowledged, item: string): void {
  acknowledged[kind].add(item);
  const count = acknowledged.registrations.size + acknowledged.messages.size;
  for (const { enough, tell } of waiting) if (count >= enough) tell();
}

let lastOperation: { readonly id: string; readonly operationId: string; readonly credentials: { cert: string; key: string } } | undefined;

/** A device that was told 202 before the kill finds its result after it. */
async function lastOperationIsKnown(): Promise<void> {
  if (lastOperation === undefined) throw new Error('nobody was registered before the kill');
  const { id, operationId, credentials } = lastOperation;
  const idScope = service.endpoints.dps[0]?.idScope;
  const path = `/${idScope}/registrations/${id}/operations/${operationId}?api-version=2021-06-01`;
  const polled = await device('GET', path, { credentials, body: '' });
  expect([polled.status, JSON.parse(polled.body)]).toMatchObject([
    200,
    { operationId, status: 'assigned', registrationState: { deviceId: id } },
  ]);
}

/** Registers new devices and sends their telemetry until the service dies under it. */
async function worker(): Promise<void> {
  for (;;) {
    const id = `storm-${nextDevice++}`;
    const leaf = await createDeviceCertificate({
      commonName: id,
      ...validity(),
      keyType: 'p256',
      issuer: { certificatePem: root.certificatePem, privateKeyPem: root.privateKeyPem },
    });
    const credentials = { cert: leaf.certificatePem, key: leaf.privateKeyPem };
    try {
      const idScope = service.endpoints.dps[0]?.idScope;
      const registered = await device('PUT', `/${idScope}/registrations/${id}/register?api-version=2021-06-01`, {
        credentials,
        body: JSON.stringify({ registrationId: id }),
      });
      expect(registered.status).toBe(202);
      const { operationId } = JSON.parse(registered.body) as { operationId: string };
      acknowledge('registrations', id);
      lastOperation = { id, operationId, credentials };
      for (let message = 0; message < 3; message++) {
        const body = `${id}/${message}`;
        const sent = await device('POST', `/devices/${id}/messages/events?api-version=2021-04-12`, { credentials, body });
        expect(sent.status).toBe(204);
        acknowledge('messages', body);
      }
    } catch (error) {
      if (isBrokenConnection(error)) return;
      throw error;
    }
  }
}

const isBrokenConnection = (error: unknown): boolean =>
  error instanceof Error &&
  (error.message === 'aborted' || ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? ''));

function device(method: string, path: string, call: { credentials: { cert: string; key: string }; body: string }): Promise<HttpsAnswer> {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(call.body)) };
  return callHttps({ method, path, port: service.endpoints.ports.https!, ca, body: call.body, headers, ...call.credentials });
}

function operator(
  method: string,
  path: string,
  body: unknown,
  side: 'dps' | 'hub' = 'dps',
  headers: Record<string, string> = {},
): Promise<HttpsAnswer> {
  const text = side === 'dps' ? service.endpoints.dps[0]!.serviceConnectionString : service.endpoints.hubs[0]!.connectionString;
  const { sharedAccessKey, sharedAccessKeyName } = parseConnectionString(text);
  const authorization = createSasToken({
    resource: hubHost,
    base64Key: sharedAccessKey,
    keyName: sharedAccessKeyName,
    expiresAt: plus(instant(Date.now()), hours(1)),
  });
  const sent = body === undefined ? '' : JSON.stringify(body);
  const all = { authorization, 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(sent)), ...headers };
  return callHttps({ method, path, port: service.endpoints.ports.https!, ca, body: sent, headers: all });
}

/** Every page of a query. */
async function all(side: 'dps' | 'hub', path: string, body: unknown): Promise<readonly Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  let continuation: string | undefined;
  do {
    const headers = continuation === undefined ? {} : { 'x-ms-continuation': continuation };
    const page = await operator('POST', `${path}?api-version=${side === 'dps' ? '2021-10-01' : '2021-04-12'}`, body, side, headers);
    expect(page.status).toBe(200);
    found.push(...(JSON.parse(page.body) as Record<string, unknown>[]));
    continuation = page.headers['x-ms-continuation'] as string | undefined;
  } while (continuation !== undefined);
  return found;
}

async function devicesOfHub(): Promise<readonly Record<string, unknown>[]> {
  const listed = await operator('GET', '/devices/?top=1000&api-version=2021-04-12', undefined, 'hub');
  expect(listed.status).toBe(200);
  return JSON.parse(listed.body) as Record<string, unknown>[];
}

function validity(): { notBefore: ReturnType<typeof instant>; notAfter: ReturnType<typeof instant>; serialBytes: Uint8Array } {
  const now = instant(Date.now());
  return { notBefore: plus(now, hours(-1)), notAfter: plus(now, hours(24)), serialBytes: randomIds.bytes(16) };
}
