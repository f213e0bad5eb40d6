import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

import { muster } from './contenders.ts';
import type { Measurement } from './load.ts';
import type { Entry, Row } from './rows.ts';

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

/** Operations that a second of the server's CPU buys, or bytes that a connection takes. */
const valueOf = ({ unit }: Row, { operations, serverCpuSeconds, connectionBytes }: Measurement): number =>
  unit === 'rate' ? operations / serverCpuSeconds : connectionBytes;

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

/** Muster's figure to the other's, of the same round. */
function ratios({ row, measured }: RowResult, entry: Entry): Spread | undefined {
  const own = measured.get(muster.name) ?? [];
  const others = measured.get(entry.contender.name);
  if (others === undefined || own.length === 0) return undefined;
  return spreadOf(own.map((measurement, round) => valueOf(row, measurement) / valueOf(row, others[round] ?? measurement)));
}

/** A client that had no time left may have been what was measured. */
const wasBusy = (measurements: readonly Measurement[]): boolean =>
  measurements.some(({ clientCpuSeconds, seconds }) => clientCpuSeconds > 0.9 * seconds);

export function renderTable(results: readonly RowResult[]): string {
  const lines = results.flatMap((result) =>
    result.row.entries
      .filter(({ contender }) => contender !== muster)
      .map((entry) => {
        const ratio = ratios(result, entry);
        const { goal, contender } = entry;
        const shown =
          ratio === undefined ? 'not installed' : `**${ratio.median.toFixed(2)}** (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})`;
        const goals = goal === undefined ? '' : `${goal.accept} / ${goal.ambitious}`;
        const notes = [
          ...(wasBusy(result.measured.get(muster.name) ?? []) ? ['client at its limit'] : []),
          ...(wasBusy(result.measured.get(contender.name) ?? []) ? [`client at its limit with ${contender.name}`] : []),
        ];
        return `| ${result.row.title} | ${contender.describe() ?? contender.name} | ${shown} | ${goals} | ${notes.join(', ')} |`;
      }),
  );
  return [
    '| what | against | Muster / it, median (spread) | accept / ambitious | notes |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

export function writeResults(
  folder: string,
  results: readonly RowResult[],
  method: { readonly rounds: number; readonly seconds: number; readonly pinned: boolean },
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
          what: row.entries.find(({ contender }) => contender.name === name)?.contender.describe(),
          value: spreadOf(rounds.map((measurement) => valueOf(row, measurement))),
          rounds,
        },
      ]),
    ),
  }));
  writeFileSync(join(folder, 'bench.json'), `${JSON.stringify({ machine, method, rows: data }, undefined, 2)}\n`);
  const facts = `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, OpenSSL ${machine.openssl}.`;
  const how = `${method.rounds} interleaved rounds of ${method.seconds} s each after a warm-up; server and client ${method.pinned ? 'each on a core of its own' : 'not pinned'}.`;
  writeFileSync(
    join(folder, 'bench.md'),
    `# What a second of the server's CPU buys

Rates are operations per CPU second of the server (its children included, the client not); memory is resident bytes of a
connection, where less is better. A ratio is Muster's figure to the other's of the same round.

${renderTable(results)}

${facts} ${how} Made by \`npm run bench\`.
`,
  );
}
