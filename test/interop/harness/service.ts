import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Endpoints } from '../../../src/contracts/muster-endpoints.ts';

/** The built command line. */
export const main = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

export interface RunningService {
  readonly data: string;
  readonly endpoints: Endpoints;
  readonly output: () => string;
  /** Ends the process; `SIGKILL` is what a power cut looks like to the rest of the machine. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A folder that goes away with the tests. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'muster-test-'));
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Starts the built service as a user would, on free ports; resolves when it prints `ready`. */
export async function startService(data: string, flags: readonly string[] = []): Promise<RunningService> {
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--amqp-port', '0', '--api-port', '0'];
  const child = spawn(process.execPath, [main, 'start', '--data', data, ...ports, '--log-level', 'warn', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const collect = (chunk: Buffer): void => {
      output += chunk.toString();
      if (/^ready$/mu.test(output)) resolve();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}:\n${output}`)));
  });
  return {
    data,
    endpoints: JSON.parse(readFileSync(join(data, 'endpoints.json'), 'utf8')) as Endpoints,
    output: () => output,
    stop: (signal = 'SIGTERM') => stop(child, signal),
  };
}

/** Runs `muster …` as a child process against a data folder. */
export function muster(data: string, args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { env: { ...process.env, MUSTER_DATA: data, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
