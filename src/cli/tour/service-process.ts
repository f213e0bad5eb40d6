import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { CliEnvironment } from '../environment.ts';
import { failure } from '../exit-code.ts';

/** The service of the tour, a process of its own. */
export interface ServiceProcess {
  readonly pid: number;
  /** Asks it to end, and ends it after a grace when it does not; resolves when it is gone. */
  close(): Promise<void>;
}

const graceMilliseconds = 5_000;
const keptLines = 20;

/** Starts `muster` with these words; resolves when it prints `ready`. Throws with what it said when it ends before. */
export async function startServiceProcess(
  words: readonly string[],
  { env, signal }: { readonly env: CliEnvironment['env']; readonly signal: AbortSignal },
): Promise<ServiceProcess> {
  const program = fileURLToPath(new URL('../../main.js', import.meta.url));
  const child = spawn(process.execPath, [program, ...words], { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  // If this process ends without a word, the service must not stay behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.on('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const close = (): Promise<void> => end(child);
  try {
    await ready(child, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return { pid: child.pid ?? 0, close };
}

/** Keeps reading both streams as long as the process lives: a full pipe would stop it. */
function ready(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('the service was started without pipes');
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    const hear = (line: string): void => {
      if (line === 'ready') resolve();
      said.push(line);
      if (said.length > keptLines) said.shift();
    };
    createInterface({ input: stdout }).on('line', hear);
    createInterface({ input: stderr }).on('line', hear);
    child.once('error', (error) => reject(failure(`The service could not be started: ${error.message}.`)));
    child.once('close', (code) => reject(failure(`The service ended (${code ?? 'by a signal'}) before it was ready: ${said.join(' ')}`)));
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), graceMilliseconds);
  await gone;
  clearTimeout(impatience);
}
