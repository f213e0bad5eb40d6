import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/contracts/audit/audit-entry.ts';
import type { Receipt } from '../../src/contracts/fleet/receipt.ts';
import { instant } from '../../src/kernel/clock.ts';
import { createDeviceCertificate, createRootCertificate, type IssuedCertificate } from '../../src/pki/issue.ts';
import { randomIds } from '../../src/runtime/random-ids.ts';
import { callHttps } from './harness/https.ts';
import { muster, removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// A run of many devices is killed in its middle, again and again. It resumes by itself; after each start every device is
// either untouched or wholly out, and in the end all of them are out.

/** Small by default; the full one is 500 devices, with `MUSTER_TEST_DEVICES=500 MUSTER_TEST_KILLS=20`. */
const fleetSize = Number(process.env['MUSTER_TEST_DEVICES'] ?? 100);
const kills = Number(process.env['MUSTER_TEST_KILLS'] ?? 4);
const folder = temporaryFolder();
const data = join(folder, 'data');
let service: RunningService;
let root: IssuedCertificate;

const validity = () => ({
  notBefore: instant(Date.now() - 3_600_000),
  notAfter: instant(Date.now() + 86_400_000),
  serialBytes: randomIds.bytes(16),
  keyType: 'p256' as const,
});

beforeAll(async () => {
  root = await createRootCertificate({ commonName: 'fleet root', ...validity() });
  service = await startService(data);
  const certificate = join(folder, 'root.pem');
  writeFileSync(certificate, root.certificatePem);
  const created = await muster(data, ['iot', 'dps', 'enrollment-group', 'create', '-n', 'dps-local', '--eid', 'all', '--cp', certificate]);
  expect(created.stderr).toBe('');
  for (let first = 0; first < fleetSize; first += 10) await Promise.all(Array.from({ length: 10 }, (_, at) => register(first + at)));
});
afterAll(async () => {
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

async function register(number: number): Promise<void> {
  const id = `device-${number}`;
  const leaf = await createDeviceCertificate({ commonName: id, ...validity(), issuer: root });
  const path = `/${service.endpoints.dps[0]?.idScope}/registrations/${id}/register?api-version=2021-06-01`;
  const body = JSON.stringify({ registrationId: id });
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
  const identity = { cert: leaf.certificatePem, key: leaf.privateKeyPem };
  const ca = readFileSync(service.endpoints.ca, 'utf8');
  const { status } = await callHttps({ method: 'PUT', path, port: service.endpoints.ports.https!, ca, body, headers, ...identity });
  expect(status).toBe(202);
}

async function api<T>(method: string, path: string, body?: object): Promise<T> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = {
    authorization: `Bearer ${readFileSync(join(data, 'api-token'), 'utf8')}`,
    'content-type': 'application/json',
    'content-length': String(text.length),
  };
  const ca = readFileSync(service.endpoints.ca, 'utf8');
  const answer = await callHttps({ method, path: `/api/v1${path}`, port: service.endpoints.ports.api!, ca, body: text, headers });
  expect(answer.status, `${method} ${path}: ${answer.body}`).toBeLessThan(300);
  return JSON.parse(answer.body) as T;
}

interface Run {
  readonly id: string;
  readonly finishedAt?: string;
  readonly counts: { readonly pending: number; readonly done: number; readonly failed: number };
}
interface Item {
  readonly target: string;
  readonly state: string;
  readonly receiptId?: string;
}

test(`a run of ${fleetSize} devices survives ${kills} kills`, { timeout: 300_000 + 60_000 * kills }, async () => {
  const devices = Array.from({ length: fleetSize }, (_, at) => `device-${at}`);
  let run = await api<Run>('POST', '/runs', { devices, reason: 'recall' });
  for (let kill = 1; kill <= kills; kill++) {
    const enough = Math.floor((fleetSize * kill) / (kills + 1));
    while (run.counts.done < enough && run.finishedAt === undefined) run = await api<Run>('GET', `/runs/${run.id}`);
    // Later kills may find it finished; a run that ended before the first one would show nothing.
    if (kill === 1) expect(run.counts.pending).toBeGreaterThan(0);
    await service.stop('SIGKILL');
    service = await startService(data);
    await everyDeviceIsWhole(run.id);
    await theTrailIsWhole();
    run = await api<Run>('GET', `/runs/${run.id}`);
  }
  while (run.finishedAt === undefined) run = await api<Run>('GET', `/runs/${run.id}`);
  expect(run.counts).toEqual({ pending: 0, done: fleetSize, failed: 0 });
  await everyDeviceIsWhole(run.id);
  const receipts = await api<readonly Receipt[]>('GET', '/receipts?top=1000');
  expect(new Set(receipts.map(({ device }) => device)).size).toBe(fleetSize);
  expect(receipts).toHaveLength(fleetSize);
  await theTrailIsWhole();
  const { items } = await api<{ readonly items: readonly AuditEntry[] }>('GET', '/audit?action=device.delete&top=1000');
  expect(items.map(({ resource }) => resource.id).toSorted()).toEqual(devices.toSorted());
  for (const { actor, reason } of items) {
    expect([actor.kind, actor.name, reason]).toEqual(['operator', 'owner of the data folder', 'recall']);
  }
});

/** What was committed before a kill is in the audit trail, unbroken and up to its sealed end. */
async function theTrailIsWhole(): Promise<void> {
  const { code, stdout } = await muster(data, ['audit', 'verify', '-o', 'json']);
  expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ ok: true, sealed: true })]);
}

/** Identity, record, block, receipt and the state in the run: all of it, or nothing of it. */
async function everyDeviceIsWhole(id: string): Promise<void> {
  const { items } = await api<{ readonly items: readonly Item[] }>('GET', `/runs/${id}/items?top=1000`);
  const identities = await muster(data, [
    'iot',
    'hub',
    'device-identity',
    'list',
    '-n',
    'hub-local',
    '--top',
    '-1',
    '--query',
    '[].deviceId',
  ]);
  const list = 'iot dps enrollment-group registration list -n dps-local --eid all --query'.split(' ');
  const records = await muster(data, [...list, '[].[registrationId, status]']);
  const blocks = await muster(data, ['block', 'list', '--query', '[].[receiptId, selectors[0].value]']);
  const alive = new Set(JSON.parse(identities.stdout) as string[]);
  const closed = new Map(JSON.parse(records.stdout) as [string, string][]);
  const blocked = new Map((JSON.parse(blocks.stdout) as [string, string][]).map(([receipt, device]) => [device, receipt]));
  // The run goes on while this looks: a device that was pending in the list may be out by now, but never the other way round.
  for (const { target, state, receiptId } of items) {
    if (state !== 'done') continue;
    expect([target, alive.has(target), closed.get(target), blocked.get(target)]).toEqual([target, false, 'disabled', receiptId]);
  }
  const now = await api<{ readonly items: readonly Item[] }>('GET', `/runs/${id}/items?top=1000`);
  const done = new Set(now.items.filter(({ state }) => state === 'done').map(({ target }) => target));
  for (const { target } of now.items) {
    const out = [!alive.has(target), closed.get(target) === 'disabled', blocked.has(target)];
    if (!done.has(target)) expect([target, ...out]).toEqual([target, false, false, false]);
  }
}
