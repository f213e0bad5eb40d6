import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { loadavg, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { type Contender, makeTemplate, musterOf, type Running, tokenFile } from './contenders.ts';
import { compileLoadClient, type Load, type Measurement, runLoad } from './load.ts';
import { obtainMaterial } from './material.ts';
import { selfTimes } from './profile.ts';
import { renderTable, type RowResult, writeResults } from './report.ts';
import { createRows, everybodyRegisters, heldConnections, type Row } from './rows.ts';
import { canPin } from './server-process.ts';
import { studies, type StudyResult } from './studies.ts';
import { builtMigration, newestMigration, type Template } from './template.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    profile: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    output: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const quick = values.quick;
const template: { -readonly [K in keyof Template]: Template[K] } = { folder: '', registryToken: '' };
const profile = values.profile === undefined ? {} : { profile: values.profile };
const rows = createRows({
  muster: musterOf('muster', { template, ...profile }),
  twoWorkers: musterOf('two workers', { template, words: ['--workers', '2'] }),
});
const names = [...rows, ...studies].map(({ name }) => name);

const usage = `npm run bench -- [--only NAME[,NAME]] [--quick] [--profile FOLDER] [--rounds N] [--seconds N] [--output FOLDER]

Starts Muster and its peers one after the other, puts each under the same load, round by round, and prints what a second of the
server's CPU buys. A whole run writes its results into bench/results; one with --only or --quick into --output, if that is given.
With --profile the CPU profiles of Muster go into FOLDER, and where the time went is printed.

  names  ${names.join(', ')}`;

if (values.help) {
  console.log(usage);
  process.exit(0);
}

const only = values.only?.flatMap((text) => text.split(','));
const isWanted = ({ name }: { readonly name: string }): boolean => only === undefined || only.includes(name);
const unknown = (only ?? []).filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`There is no row ${unknown.join(', ')}.\n\n${usage}`);
  process.exit(2);
}

const rounds = Number(values.rounds ?? (quick ? 1 : 3));
const seconds = Number(values.seconds ?? (quick ? 0.6 : 2));
// A registration costs a Node process that has just begun nearly twice what it costs a few seconds later.
const warmup = quick ? 0.4 : 6;
const deviceCount = quick ? 600 : heldConnections;
const output = values.output ?? (quick || only !== undefined ? undefined : 'bench/results');
const sizes = quick ? ([1000, 5000, 20_000] as const) : ([heldConnections, 100_000, 1_000_000] as const);
const loadBefore = loadavg()[0] ?? 0;

const scratch = mkdtempSync(join(tmpdir(), 'muster-bench-run-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
if (output !== undefined) mkdirSync(output, { recursive: true });

const program = compileLoadClient(scratch);
// Kept between runs: certificates, and folders with up to a million devices.
const cache = join(tmpdir(), `muster-bench-${userInfo().username}-${deviceCount}`);
const material = await obtainMaterial(cache, deviceCount);
Object.assign(template, await obtainTemplate());

const results: RowResult[] = [];
const found: StudyResult[] = [];
const failed: string[] = [];
for (const row of rows.filter(isWanted)) await attempt(row, async () => void results.push(await measureRow(row)));
for (const study of studies.filter(isWanted)) {
  await attempt(study, async () => {
    const measure = (running: Running, entry: { readonly port: keyof Running['ports']; readonly load: (running: Running) => Load }) =>
      put(running, entry);
    const own = { material, template, rounds: quick ? 1 : 2, sizes, measure, output };
    found.push(await study.run(own));
  });
}
if (output !== undefined) {
  const loadAverages = [loadBefore, loadavg()[0] ?? 0];
  writeResults(output, { results, studies: found }, { rounds, seconds, pinned: canPin, loadAverages });
}
if (results.length > 0) console.log(`\n${renderTable(results)}`);
for (const { title, table } of found) console.log(`\n${title}\n\n${table}`);
if (values.profile !== undefined) console.log(`\nWhere Muster's time went, by function:\n${selfTimes(values.profile)}`);
if (failed.length > 0) {
  console.error(`Not measured, for the reasons above: ${failed.join(', ')}.`);
  process.exitCode = 1;
}

async function attempt({ name, title }: { readonly name: string; readonly title: string }, work: () => Promise<void>): Promise<void> {
  console.log(`${title} …`);
  try {
    await work();
  } catch (error) {
    // What the other rows took long to find out is not thrown away.
    console.error(error);
    failed.push(name);
  }
}

async function measureRow(row: Row): Promise<RowResult> {
  // A short run compares with what it is asked to be compared with.
  const all = [row.own, ...row.others.filter(({ goal }) => !quick || goal !== undefined || row.others.length === 1)];
  const present = all.filter(({ contender }) => contender.describe() !== undefined);
  for (const { contender } of all.filter((entry) => !present.includes(entry))) {
    console.log(`  without ${contender.name}, which is not installed: ${contender.install}`);
  }
  const measured = new Map<string, Measurement[]>();
  // Interleaved, and each round begins with another: whatever else the machine does then meets all of them.
  for (let round = 0; round < rounds; round += 1) {
    const turn = [...present.slice(round % present.length), ...present.slice(0, round % present.length)];
    for (const entry of turn) {
      const measurement = await withServer(entry.contender, (running) => put(running, entry));
      measured.set(entry.contender.name, [...(measured.get(entry.contender.name) ?? []), measurement]);
    }
  }
  return { row, measured };
}

async function put(
  running: Running,
  { port, load }: { readonly port: keyof Running['ports']; readonly load: (running: Running) => Load },
): Promise<Measurement> {
  const number = running.ports[port];
  if (number === undefined) throw new Error(`there is no port for ${port}`);
  return await runLoad({ program, material, seconds, warmup, scratch }, { server: running.server, port: number }, load(running));
}

async function withServer<T>(contender: Contender, work: (running: Running) => Promise<T>): Promise<T> {
  const running = await contender.start(material);
  try {
    return await work(running);
  } finally {
    await running.stop();
  }
}

/** A folder in which every device has registered; the same as the last time while the schema is the same. */
async function obtainTemplate(): Promise<Template> {
  const folder = join(cache, 'template');
  const isFresh = existsSync(join(folder, tokenFile)) && newestMigration(folder) === builtMigration();
  if (!isFresh) {
    console.log('Registering the devices …');
    for (const old of [folder, ...sizes.map((size) => `${folder}-${size}`)]) rmSync(old, { recursive: true, force: true });
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    await makeTemplate(material, { folder: unfinished, fill: register });
    renameSync(unfinished, folder);
  }
  return { folder, registryToken: readFileSync(join(folder, tokenFile), 'utf8') };
}

/** Devices connect with what their registration gave them; 16 at a time, until each has had its turn in one go. */
async function register(running: Running): Promise<void> {
  const port = running.ports.https ?? 0;
  const load = everybodyRegisters(running);
  for (let patience = 8; patience <= 256; patience *= 2) {
    // Each go begins with the first device again.
    const options = { program, material, seconds: patience, warmup: 0, scratch };
    const { operations } = await runLoad(options, { server: running.server, port }, load);
    if (operations >= deviceCount) return;
    if (operations === 0) break;
  }
  throw new Error('the devices could not register');
}
