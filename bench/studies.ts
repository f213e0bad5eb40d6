import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import SqliteDatabase from 'better-sqlite3';

import { instant } from '../src/kernel/clock.ts';
import { openSqlStore } from '../src/stores/sql/store.ts';
import { openService, startMuster, stopAndRemove, temporary } from './contenders.ts';
import type { Measurement } from './load.ts';
import type { Material } from './material.ts';
import { plot } from './plot.ts';
import { spreadOf } from './report.ts';
import { loads, type Entry } from './rows.ts';
import { copyOf, grownTemplate, program, type Template } from './template.ts';

/** What is no comparison with a peer: a table of its own. */
export interface Study {
  readonly name: string;
  readonly title: string;
  run(context: StudyContext): Promise<StudyResult>;
}

export interface StudyContext {
  readonly material: Material;
  readonly template: Template;
  readonly rounds: number;
  /** Devices of the smallest, the middle and the largest folder. */
  readonly sizes: readonly [number, number, number];
  readonly measure: (muster: Awaited<ReturnType<typeof startMuster>>, entry: Pick<Entry, 'port' | 'load'>) => Promise<Measurement>;
  /** Where pictures go; absent when nothing is kept. */
  readonly output: string | undefined;
}

export interface StudyResult {
  readonly name: string;
  readonly title: string;
  /** Markdown. */
  readonly table: string;
  readonly data: unknown;
}

const median = (values: readonly number[]): number => spreadOf(values).median;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const flat: Study = {
  name: 'flat',
  title: 'CPU of an operation by the number of registered devices',
  async run({ material, template, sizes, rounds, measure, output }) {
    const costs = new Map(Object.keys(loads).map((name) => [name, sizes.map((): number[] => [])]));
    for (let round = 0; round < rounds; round += 1) {
      for (const [at, size] of sizes.entries()) {
        const running = await startMuster(material, { template: grownTemplate(template, size) });
        for (const [name, entry] of Object.entries(loads)) {
          const { serverCpuSeconds, operations } = await measure(running, entry);
          costs.get(name)?.[at]?.push((serverCpuSeconds / operations) * 1e6);
        }
        await running.stop();
      }
    }
    const lines = [...costs].map(([name, bySize]) => ({ name, ratios: bySize.map((values) => median(values) / median(bySize[0] ?? [])) }));
    if (output !== undefined) writeFileSync(join(output, 'flat.svg'), plot({ sizes, lines }));
    const title = `CPU of an operation with so many registered devices, to that with ${sizes[0].toLocaleString('en')}`;
    return {
      name: 'flat',
      title,
      table: table(
        ['operation', ...sizes.map((size) => size.toLocaleString('en'))],
        lines.map(({ name, ratios }) => [name, ...ratios.map((ratio) => ratio.toFixed(2))]),
      ),
      data: Object.fromEntries(costs),
    };
  },
};

/** Microseconds of one call, as the median of many. */
async function timed(times: number, call: (at: number) => unknown): Promise<number> {
  const taken: number[] = [];
  for (let at = 0; at < times; at += 1) {
    const began = process.hrtime.bigint();
    await call(at);
    taken.push(Number(process.hrtime.bigint() - began) / 1000);
  }
  return median(taken);
}

const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
const clock = { now: () => instant(Date.now()), after: () => () => {} };

const million: Study = {
  name: 'million',
  title: 'Lookups in a large folder',
  async run({ material, template, sizes: [small, , large], rounds }) {
    const rows = [];
    for (const size of [small, large]) {
      const grown = grownTemplate(template, size);
      const folder = temporary();
      copyOf(grown, folder);
      const path = join(folder, 'muster.sqlite');
      const store = await openSqlStore({ path, log: quiet, clock });
      const raw = new SqliteDatabase(path, { readonly: true });
      const select = raw.prepare('select * from device where hub_key = ? and device_id = ?');
      const page = raw.prepare('select * from device where hub_key = ? and device_id > ? order by device_id limit 100');
      const ids = raw.prepare('select device_id as id from device order by device_id').all() as { id: string }[];
      // Spread over the whole folder, and far enough from its end for a whole page.
      const idOf = (at: number): string => ids[(at * 7919) % (ids.length - 101)]?.id ?? '';
      const get = await timed(5000 * rounds, (at) => store.read.devices.get('bench', idOf(at)));
      const rawGet = await timed(5000 * rounds, (at) => select.get('bench', idOf(at)));
      const list = await timed(200 * rounds, (at) => store.read.devices.list('bench', { limit: 100, after: idOf(at) }));
      const rawList = await timed(200 * rounds, (at) => page.all('bench', idOf(at)));
      raw.close();
      await store.close();
      const { server } = await openService(folder, material);
      const memory = server.memory();
      await stopAndRemove(server, folder);
      rows.push({ size, get, rawGet, list, rawList, memory });
    }
    const [first] = rows;
    const against = (value: number, base: number | undefined): string => (value / (base ?? value)).toFixed(2);
    return {
      name: 'million',
      title: 'Lookups in a large folder, to bare better-sqlite3 on the same file, and memory to that with the smallest',
      table: table(
        ['devices', 'identity / bare', 'page of 100 / bare', 'resident memory after the start'],
        rows.map(({ size, get, rawGet, list, rawList, memory }) => [
          size.toLocaleString('en'),
          against(get, rawGet),
          against(list, rawList),
          against(memory, first?.memory),
        ]),
      ),
      data: rows,
    };
  },
};

const startup: Study = {
  name: 'startup',
  title: 'Starts',
  async run({ material, template, sizes: [small, , large], rounds }) {
    const took = new Map<string, number[]>();
    const note = (name: string, began: bigint): void => {
      took.set(name, [...(took.get(name) ?? []), Number(process.hrtime.bigint() - began) / 1e6]);
    };
    for (let round = 0; round < (rounds === 1 ? 1 : 5); round += 1) {
      for (const size of [small, large]) {
        const folder = temporary();
        copyOf(grownTemplate(template, size), folder);
        const began = process.hrtime.bigint();
        const { server } = await openService(folder, material);
        note(`ready with ${size.toLocaleString('en')} devices`, began);
        await stopAndRemove(server, folder);
      }
    }
    for (let time = 0; time < 12; time += 1) {
      for (const [name, words] of [
        ['node -e 0', ['-e', '0']],
        ['muster --help', [program, '--help']],
      ] as const) {
        const began = process.hrtime.bigint();
        execFileSync(process.execPath, words, { stdio: 'ignore' });
        note(name, began);
      }
    }
    const base = median(took.get('node -e 0') ?? []);
    return {
      name: 'startup',
      title: 'Time of a start, to that of `node -e 0`',
      table: table(
        ['what', 'median / node -e 0'],
        [...took].map(([name, values]) => [name, (median(values) / base).toFixed(2)]),
      ),
      data: Object.fromEntries(took),
    };
  },
};

export const studies: readonly Study[] = [flat, million, startup];
