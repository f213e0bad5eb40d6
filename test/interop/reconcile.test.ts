import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Drift, Mended } from '../../src/contracts/fleet/drift.ts';
import type { Explanation } from '../../src/contracts/fleet/explanation.ts';
import { CertGen } from './harness/cert-gen.ts';
import { muster, removeFolder, type RunningService, startService, temporaryFolder } from './harness/service.ts';

// `muster reconcile`, `deprovision --query-command` and `explain --at` as an operator types them, with certificates of openssl.

const folder = temporaryFolder();
const data = join(folder, 'data');
let service: RunningService;
const ids = ['pump-1', 'pump-2', 'fan-1'];

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await muster(data, args);
  expect({ code, stderr }, args.join(' ')).toMatchObject({ code: 0 });
  return stdout;
}
const json = async <T>(...args: readonly string[]): Promise<T> => JSON.parse(await ok(...args, '-o', 'json')) as T;
const group = ['--dps-name', 'dps-local', '--enrollment-id', 'thermostats'];
const removeIdentity = (id: string) => ok('iot', 'hub', 'device-identity', 'delete', '--hub-name', 'hub-local', '--device-id', id);
const verdicts = ({ decisions }: Explanation) => decisions.map(({ side, verdict }) => `${side} ${verdict}`);

beforeAll(async () => {
  service = await startService(data);
  const pki = new CertGen(join(folder, 'pki'));
  const root = await pki.root('Fleet Root');
  await ok('iot', 'dps', 'enrollment-group', 'create', ...group, '--certificate-path', root.certificatePath);
  for (const id of ids) {
    const leaf = await pki.device(id, root);
    await ok('device', 'run', '--certificate', leaf.certificatePath, '--key', leaf.keyPath, '--transport', 'mqtt', '--messages', '1');
  }
});
afterAll(async () => {
  await service?.stop('SIGKILL');
  removeFolder(folder);
});

test('drift is listed, mended, and then gone', async () => {
  expect(await ok('reconcile')).toContain('Everything fits together.');
  expect(await json<readonly Drift[]>('reconcile')).toEqual([]);

  await removeIdentity('fan-1');
  const gone = 'HostName=gone.localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=YQ==';
  await ok('iot', 'dps', 'linked-hub', 'create', '--dps-name', 'dps-local', '--connection-string', gone);
  expect((await json<readonly Drift[]>('reconcile')).map(({ kind, subject }) => [kind, subject.id])).toEqual([
    ['dead-link', 'gone.localhost'],
    ['record-without-device', 'fan-1'],
  ]);
  const page = await ok('reconcile');
  expect(page).toContain('record fan-1 of dps-local');
  expect(page).toContain("2 to be mended by 'muster reconcile --fix'.");
  expect(await ok('reconcile', '-o', 'table')).toMatch(/record-without-device\s+with --fix\s+record fan-1 of dps-local/u);
  expect((await muster(data, ['reconcile', '--dry-run'])).code).toBe(2);

  const dry = await json<readonly Mended[]>('reconcile', '--fix', '--dry-run');
  expect(dry.map(({ outcome }) => outcome)).toEqual(['would-mend', 'would-mend']);
  expect(await ok('reconcile', '--fix', '--reason', 'spring clean', '--ticket', 'OPS-12')).toContain('2 mended.');
  expect(await json<readonly Drift[]>('reconcile', '--fix')).toEqual([]);
  const trail = await json<readonly object[]>('audit', 'list', 'fan-1', '--action', 'registration.delete');
  expect(trail).toMatchObject([{ reason: 'spring clean', ticket: 'OPS-12' }]);
});

test('what a query finds is shown, then put out; and yesterday it was in', async () => {
  const query = [
    'deprovision',
    '--query-command',
    "SELECT * FROM registrations WHERE STARTSWITH(registrationId, 'pump')",
    '--reason',
    'recall',
    '--by',
    'id',
  ];
  const before = new Date().toISOString();
  const dry = await json<{ readonly items: readonly object[] }>(...query, '--dry-run');
  expect(dry.items).toMatchObject([
    { target: 'pump-1', state: 'done', message: expect.stringContaining('is removed') },
    { target: 'pump-2', state: 'done' },
  ]);
  expect(verdicts(await json<Explanation>('explain', 'pump-1'))).toEqual(['provisioning let-in', 'hub let-in']);
  // `--query` is the JMESPath of every command, so that nothing is done for whoever takes the one for the other.
  expect((await muster(data, ['deprovision', 'pump-1', '--query', 'SELECT *', '--reason', 'x'])).code).toBe(2);

  const run = await json<object>(...query);
  expect(run).toMatchObject({ counts: { pending: 0, done: 2, failed: 0 } });
  expect(verdicts(await json<Explanation>('explain', 'pump-1'))).toEqual(['provisioning disabled', 'hub refused']);
  const then = await json<Explanation>('explain', 'pump-1', '--at', before);
  expect([then.asOf, verdicts(then)]).toEqual([before, ['provisioning let-in', 'hub let-in']]);
  expect(await ok('explain', 'pump-1', '--at', before)).toContain(`as it was at ${before}`);
  expect((await muster(data, ['explain', 'pump-1', '--at', '2999-01-01T00:00:00Z'])).stderr).toContain('still to come');
});

test('a table of blocks that ended, and nothing else, is mended', async () => {
  const soon = new Date(Date.now() + 15_000).toISOString();
  await ok('block', 'create', '--registration-id', 'fan-9', '--reason', 'audit', '--expires', soon);
  let ended: readonly Drift[] = [];
  while (ended.length === 0) ended = await json<readonly Drift[]>('reconcile', '--kind', 'deny-not-needed');
  expect(ended).toMatchObject([{ subject: { type: 'block' }, mendable: true }]);
  expect((await json<readonly Mended[]>('reconcile', '--fix', '--kind', 'deny-not-needed')).map(({ outcome }) => outcome)).toEqual([
    'mended',
  ]);
});
