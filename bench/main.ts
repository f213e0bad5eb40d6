import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { type Contender, muster, type Running } from './contenders.ts';
import { compileLoadClient, type Measurement, runLoad } from './load.ts';
import { makeMaterial, type Material } from './material.ts';
import { renderTable, type RowResult, writeResults } from './report.ts';
import { everybodyRegisters, heldConnections, type Row, rows } from './rows.ts';
import { canPin } from './server-process.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    output: { type: 'string', default: 'bench/results' },
    help: { type: 'boolean', default: false },
  },
});

const usage = `npm run bench -- [--only NAME] [--quick] [--rounds N] [--seconds N] [--output FOLDER]

Starts Muster and its peers one after the other, puts each under the same load, round by round, and prints what a second of the
server's CPU buys. With MUSTER_BENCH_PROFILE=FOLDER a CPU profile of Muster is written there.

  rows   ${rows.map(({ name }) => name).join(', ')}`;

if (values.help) {
  console.log(usage);
  process.exit(0);
}

const wanted = rows.filter(({ name }) => values.only === undefined || values.only.includes(name));
const unknown = (values.only ?? []).filter((name) => !rows.some((row) => row.name === name));
if (unknown.length > 0) {
  console.error(`There is no row ${unknown.join(', ')}.\n\n${usage}`);
  process.exit(2);
}

const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const seconds = Number(values.seconds ?? (values.quick ? 1 : 3));
const warmup = values.quick ? 1 : 2;
const deviceCount = values.quick ? 500 : heldConnections;
const folder = mkdtempSync(join(tmpdir(), 'muster-bench-material-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const program = compileLoadClient(folder);
console.log('Making certificates …');
const material = await makeMaterial(join(folder, 'pki'), deviceCount);
const results: RowResult[] = [];
const failed: string[] = [];
for (const row of wanted) {
  console.log(`${row.title} …`);
  try {
    results.push(await measureRow(row));
  } catch (error) {
    // What the other rows took long to find out is not thrown away.
    console.error(error);
    failed.push(row.name);
  }
}
mkdirSync(values.output, { recursive: true });
writeResults(values.output, results, { rounds, seconds, pinned: canPin });
console.log(`\n${renderTable(results)}`);
if (failed.length > 0) {
  console.error(`Not measured, for the reasons above: ${failed.join(', ')}.`);
  process.exitCode = 1;
}

async function measureRow(row: Row): Promise<RowResult> {
  const present = row.entries.filter(({ contender }) => contender.describe() !== undefined);
  for (const { contender } of row.entries.filter((entry) => !present.includes(entry))) {
    console.log(`  without ${contender.name}, which is not installed: ${contender.install}`);
  }
  const measured = new Map<string, Measurement[]>();
  // Interleaved, and each round begins with another: whatever else the machine does then meets all of them.
  for (let round = 0; round < rounds; round += 1) {
    const turn = [...present.slice(round % present.length), ...present.slice(0, round % present.length)];
    for (const { contender, port, load } of turn) {
      const measurement = await withServer(contender, material, async (running) => {
        const number = running.ports[port];
        if (number === undefined) throw new Error(`${contender.name} has no port for ${port}`);
        return await runLoad({ program, material, seconds, warmup }, { server: running.server, port: number }, load(running));
      });
      measured.set(contender.name, [...(measured.get(contender.name) ?? []), measurement]);
    }
  }
  return { row, measured };
}

async function withServer<T>(contender: Contender, devices: Material, work: (running: Running) => Promise<T>): Promise<T> {
  const running = await contender.start(devices);
  try {
    if (contender === muster) await register(running);
    return await work(running);
  } finally {
    await running.stop();
  }
}

/** Devices connect with what their registration gave them; 16 at a time, until each has had its turn in one go. */
async function register(running: Running): Promise<void> {
  const port = running.ports.https ?? 0;
  const load = everybodyRegisters(running);
  for (let patience = 8; patience <= 256; patience *= 2) {
    // Each go begins with the first device again.
    const { operations } = await runLoad({ program, material, seconds: patience, warmup: 0 }, { server: running.server, port }, load);
    if (operations >= deviceCount) return;
    if (operations === 0) break;
  }
  throw new Error('the devices could not register');
}
