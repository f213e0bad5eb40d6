import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const shown = 25;

/** Where the time of all profiles of a folder went, by function: its own share of what was not idle. */
export function selfTimes(folder: string): string {
  const times = new Map<string, number>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile;
    const names = new Map(
      nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
        id,
        `${functionName || '(anonymous)'} ${url.replace(/^.*\/(?=(?:dist|node_modules)\/)/u, '')}:${lineNumber + 1}`,
      ]),
    );
    for (const [at, sample] of samples.entries()) {
      const key = names.get(sample) ?? '?';
      times.set(key, (times.get(key) ?? 0) + (timeDeltas[at] ?? 0));
    }
  }
  const busy = [...times].filter(([name]) => !name.startsWith('(idle)') && !name.startsWith('(program)'));
  const all = busy.reduce((sum, [, time]) => sum + time, 0);
  return busy
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, shown)
    .map(([name, time]) => `${((100 * time) / all).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}
