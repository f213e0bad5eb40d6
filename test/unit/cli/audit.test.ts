import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Muster, openMuster } from '../../../src/compose.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { randomIds } from '../../../src/runtime/random-ids.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { RecordingLog } from '../../fixtures/recording-log.ts';
import { muster, type Outcome, valueOf } from './harness.ts';

let data: string;
let service: Muster;
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'muster-audit-'));
  const ports = { https: 0, mqtt: 0, amqp: 0, api: 0 };
  const config = loadConfig({ environment: {}, flags: { data, ports, bind: ['127.0.0.1'] } });
  service = await openMuster(config, { clock: systemClock, ids: randomIds, log: new RecordingLog(), pid: process.pid });
});
afterAll(async () => {
  await service.close();
  rmSync(data, { recursive: true, force: true });
});

const run = (argv: string, env: Record<string, string> = {}): Promise<Outcome> =>
  muster([...argv.split(' ').map((word) => word.replaceAll('_', ' ')), '--data', data], { env });
const value = async (argv: string): Promise<any> => valueOf(await run(argv));

test('an operator with a token of a role does what the role may, in its own name', async () => {
  const made = await run('token create Ada_Lovelace --role operator --expires 1d');
  expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('cannot be shown again') });
  const { token } = JSON.parse(made.stdout) as { readonly token: string };
  const env = { MUSTER_TOKEN: token };
  expect(await run('block create --device-id sensor-1 --reason lost --ticket OPS-7', env)).toMatchObject({ code: 0 });
  expect(await run('token list', env)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/needs the role admin; [^.]*\. Tracking id/u),
  });
  const [entry] = await value('audit list --actor ada_lovelace --kind block');
  expect(entry).toMatchObject({
    action: 'block.create',
    actor: { kind: 'operator', name: 'Ada Lovelace' },
    reason: 'lost',
    ticket: 'OPS-7',
  });
  expect(await value(`audit show ${entry.sequence}`)).toEqual(entry);
  expect(await value('token revoke Ada_Lovelace')).toMatchObject({ state: 'revoked' });
  expect(await run('block list', env)).toMatchObject({ code: 1, stderr: expect.stringMatching(/bearer token.*Check MUSTER_TOKEN\./u) });
  // What `block delete` takes is in the table.
  expect((await run('block list -o table')).stdout).toMatch(/ Id .*\n.*\n.* block-\S+ /u);
  const table = await run('token list -o table');
  expect(table.stdout).toMatch(/Ada Lovelace +\S+ +operator +revoked/u);
});

test('changes by az in its own words are those of the policy that it signs with', async () => {
  expect(await run('iot hub device-identity create --hub-name hub-local --device-id sensor-2')).toMatchObject({ code: 0 });
  const entries = await value('audit list sensor-2 --since 1h');
  expect(entries.map(({ action }: any) => action)).toEqual(['twin.create', 'device.create']);
  expect(entries[0]).toMatchObject({
    actor: { kind: 'policy', name: 'iothubowner', origin: { address: expect.stringContaining('127.0.0.1') } },
  });
  const { stdout } = await run('audit list sensor-2 -o table');
  expect(stdout).toMatch(/^Action +At +By +Entry +From +Resource/u);
  expect(stdout).toContain('iothubowner (policy)');
  expect(stdout).toContain('sensor-2 of hub-local');
  expect((await run('audit list sensor-2 -o tsv --query [].action')).stdout).toBe('twin.create\ndevice.create\n');
});

test('a command that has no option for it says why in the environment', async () => {
  const env = { MUSTER_REASON: 'Gerät gestohlen', MUSTER_TICKET: 'OPS-8' };
  expect(await run('iot hub device-identity delete --hub-name hub-local --device-id sensor-2', env)).toMatchObject({ code: 0 });
  expect(await run('iot hub create --name hub-b', env)).toMatchObject({ code: 0 });
  for (const id of ['sensor-2', 'hub-b']) {
    expect((await value(`audit list ${id} --top 1`))[0]).toMatchObject({ reason: 'Gerät gestohlen', ticket: 'OPS-8' });
  }
});

test('the trail is checked, exported, and checked again without the service', async () => {
  const head = await value('audit head');
  const verified = await run('audit verify');
  expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining(head.hash) });
  expect(await run(`audit verify --head ${head.hash}`)).toMatchObject({ code: 0, stdout: expect.stringContaining('It leads to the end') });
  expect(await run(`audit verify --head ${'f'.repeat(64)}`)).toMatchObject({ code: 1, stdout: expect.stringContaining('not as it was') });
  expect(await run('audit verify --head 12')).toMatchObject({ code: 2 });

  const file = join(data, 'trail.jsonl');
  expect(await run(`audit export --file ${file}`)).toMatchObject({ code: 0, stderr: expect.stringContaining(`are in ${file}`) });
  expect(await run(`audit export --file ${file}`)).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') });
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(lines).toHaveLength(head.sequence);
  expect((await run('audit export')).stdout).toBe(`${lines.join('\n')}\n`);
  expect(await value(`audit verify --file ${file} -o json`)).toMatchObject({ ok: true, checked: head.sequence, head });
  expect(await run(`audit verify --file ${file} --head ${head.hash}`)).toMatchObject({ code: 0 });

  const forged = join(data, 'forged.jsonl');
  writeFileSync(forged, lines.map((line, at) => (at === 3 ? line.replace('"kind":"system"', '"kind":"device"') : line)).join('\n'));
  const found = await run(`audit verify --file ${forged} -o json`);
  expect(found.code).toBe(1);
  expect(JSON.parse(found.stdout)).toMatchObject({ ok: false, sequence: 4, reason: 'changed' });
  writeFileSync(forged, [...lines.slice(0, 5), ...lines.slice(6)].join('\n'));
  expect(JSON.parse((await run(`audit verify --file ${forged} -o json`)).stdout)).toMatchObject({ sequence: 6, reason: 'missing' });
  writeFileSync(forged, 'what is this');
  expect(await run(`audit verify --file ${forged}`)).toMatchObject({ code: 1, stderr: expect.stringContaining('line 1 of') });
  expect(await run(`audit verify --file ${join(data, 'nowhere')}`)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cannot be read'),
  });
});

test('retention is told, and the trail still verifies', async () => {
  expect(await value('audit prune --before 2001-01-01T00:00:00Z')).toEqual({ removed: 0 });
  const { sequence } = await value('audit head');
  expect(await value('audit prune --before 0s')).toEqual({ removed: sequence });
  expect(await run('audit verify')).toMatchObject({ code: 0, stdout: expect.stringContaining(`after entry ${sequence}`) });
});

test('nobody was refused yet', async () => {
  expect(await value('refusals -o json')).toEqual([]);
  expect(await run('refusals --side hub')).toMatchObject({ code: 0, stdout: '', stderr: 'Nobody was refused.\n' });
  expect(await run('refusals --follow --top 3')).toMatchObject({ code: 2 });
  expect(await run('refusals --after 3')).toMatchObject({ code: 2 });
});

test.each(['audit', 'token', 'audit list', 'audit verify', 'token create', 'refusals'])('%s explains itself', async (words) => {
  const { code, stdout } = await run(`${words} -h`);
  expect(code).toBe(0);
  expect(stdout).toContain(`muster ${words} : `);
  if (words.includes(' ') || words === 'refusals') expect(stdout).toContain('Examples');
});
