import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

import type { Measurement } from './load.ts';
import type { Entry, Row } from './rows.ts';
import type { StudyResult } from './studies.ts';

export interface RowResult {
  readonly row: Row;
  /** By contender, one measurement a round. */
  readonly measured: ReadonlyMap<string, readonly Measurement[]>;
}

interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

function valueOf({ unit }: Row, { operations, serverCpuSeconds, connectionBytes }: Measurement): number {
  if (unit === 'memory') return connectionBytes;
  return unit === 'rate' ? operations / serverCpuSeconds : serverCpuSeconds / operations;
}

/** What one operation costs the server, or one connection. */
function costOf({ unit }: Row, measurements: readonly Measurement[]): string {
  const { median } = spreadOf(
    measurements.map(({ operations, serverCpuSeconds, connectionBytes }) =>
      unit === 'memory' ? connectionBytes / 1024 : (serverCpuSeconds / operations) * 1e6,
    ),
  );
  return `${median < 100 ? median.toFixed(1) : median.toFixed(0)} ${unit === 'memory' ? 'KiB' : 'us'}`;
}

export type Reached = 'ambitious' | 'accepted' | 'short';

/** How a ratio stands to what is asked of it. */
export function reached({ unit }: Pick<Row, 'unit'>, ratio: number, { accept, ambitious }: NonNullable<Entry['goal']>): Reached {
  const isEnough = (asked: number): boolean => (unit === 'rate' ? ratio >= asked : ratio <= asked);
  if (isEnough(ambitious)) return 'ambitious';
  return isEnough(accept) ? 'accepted' : 'short';
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

/** Muster's figure to the other's, of the same round. */
function ratios({ row, measured }: RowResult, entry: Entry): Spread | undefined {
  const own = measured.get(row.own.contender.name) ?? [];
  const others = measured.get(entry.contender.name);
  if (others === undefined || own.length === 0) return undefined;
  return spreadOf(own.map((measurement, round) => valueOf(row, measurement) / valueOf(row, others[round] ?? measurement)));
}

/** A client that had no time left may have been what was measured. */
const wasBusy = (measurements: readonly Measurement[]): boolean =>
  measurements.some(({ clientCpuSeconds, seconds }) => clientCpuSeconds > 0.9 * seconds);

export function renderTable(results: readonly RowResult[]): string {
  const lines = results.flatMap((result) => result.row.others.map((entry) => renderLine(result, entry)));
  return [
    '| what | against | ratio, median (spread) | accept / ambitious | | CPU or memory of one: own, other | notes |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function renderLine(result: RowResult, entry: Entry): string {
  const { row, measured } = result;
  const { goal, contender } = entry;
  const ratio = ratios(result, entry);
  const [own = [], other = []] = [measured.get(row.own.contender.name), measured.get(contender.name)];
  const notes = [
    ...(wasBusy(own) ? ['client at its limit'] : []),
    ...(wasBusy(other) ? [`client at its limit with ${contender.name}`] : []),
  ];
  const shown =
    ratio === undefined ? 'not installed' : `**${ratio.median.toFixed(2)}** (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})`;
  const goals = goal === undefined ? '' : `${goal.accept} / ${goal.ambitious}`;
  const verdict = goal === undefined || ratio === undefined ? '' : reached(row, ratio.median, goal);
  const costs = ratio === undefined ? '' : `${costOf(row, own)}, ${costOf(row, other)}`;
  return `| ${row.title} | ${contender.describe() ?? contender.name} | ${shown} | ${goals} | ${verdict} | ${costs} | ${notes.join(', ')} |`;
}

export function writeResults(
  folder: string,
  { results, studies }: { readonly results: readonly RowResult[]; readonly studies: readonly StudyResult[] },
  method: {
    readonly rounds: number;
    readonly seconds: number;
    readonly pinned: boolean;
    /** Of a minute, before and after: what else the machine did. */
    readonly loadAverages: readonly number[];
  },
): void {
  const [core] = cpus();
  const machine = {
    processor: core?.model ?? 'unknown',
    cores: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
  const data = results.map(({ row, measured }) => ({
    name: row.name,
    title: row.title,
    unit: row.unit,
    contenders: Object.fromEntries(
      [...measured].map(([name, rounds]) => [
        name,
        {
          what: [row.own, ...row.others].find(({ contender }) => contender.name === name)?.contender.describe(),
          value: spreadOf(rounds.map((measurement) => valueOf(row, measurement))),
          rounds,
        },
      ]),
    ),
  }));
  writeFileSync(
    join(folder, 'bench.json'),
    `${JSON.stringify({ machine, method, rows: data, studies: studies.map(({ name, title, data: figures }) => ({ name, title, figures })) }, undefined, 2)}\n`,
  );
  const facts = `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, OpenSSL ${machine.openssl}.`;
  const how = `${method.rounds} interleaved rounds of ${method.seconds} s each after a warm-up; server and client ${method.pinned ? 'each on a core of its own' : 'not pinned'} (two workers and the client share all). Load average before and after: ${method.loadAverages.map((load) => load.toFixed(1)).join(', ')}.`;
  writeFileSync(
    join(folder, 'bench.md'),
    `# What a second of the server's CPU buys

Rates are operations per CPU second of the server (its children included, the client not); memory is resident bytes of a
connection. For memory and the cost of two workers less is better. A ratio is Muster's figure to the other's of the same round.
Everything that Muster acknowledges is on disk by then: each registration, identity and message.

${renderTable(results)}

${studies.map(({ title, table }) => `## ${title}\n\n${table}\n`).join('\n')}
${facts} ${how} Made by \`npm run bench\`.
`,
  );
}
