import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:net';

/** A server under load: a process with whatever it started. */
export interface ServerProcess {
  readonly pid: number;
  /** CPU nanoseconds of the process and its children since they began. */
  cpu(): number;
  /** Resident bytes of the same. */
  memory(): number;
  stop(): Promise<void>;
}

/** Server and client keep out of each other's way where there are cores enough. */
export const canPin = availableParallelism() >= 2 && existsSync('/usr/bin/taskset');

export const pinned = (core: number, command: string, args: readonly string[]): readonly [string, readonly string[]] =>
  canPin ? ['taskset', ['-c', String(core), command, ...args]] : [command, args];

export interface Start {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A line of its output, or else a port that answers, says that it is ready. */
  readonly ready: { readonly line: string } | { readonly port: number };
  /** Not held to one core. */
  readonly allCores?: boolean;
}

export async function startServer({ command, args, env, ready, allCores = false }: Start): Promise<ServerProcess> {
  const [program, words] = allCores ? [command, args] : pinned(0, command, args);
  const child = spawn(program, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.on('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const said: string[] = [];
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}: ${said.slice(-20).join('\n')}`)));
  });
  ended.catch(() => {});
  const lines = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (said.length > 40) said.shift();
        if ('line' in ready && line === ready.line) resolve();
      });
    }
  });
  await Promise.race([ended, 'line' in ready ? lines : answers(ready.port)]);
  const pid = child.pid ?? 0;
  return {
    pid,
    cpu: () => treeOf(pid).reduce((sum, id) => sum + cpuOf(id), 0),
    memory: () => treeOf(pid).reduce((sum, id) => sum + memoryOf(id), 0),
    stop: () => stop(child),
  };
}

async function answers(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await delay(50);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const grace = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(grace);
}

function treeOf(pid: number): readonly number[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(treeOf)];
}

/** The scheduler counts in nanoseconds, a thread at a time. */
function cpuOf(pid: number): number {
  const threads = existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : [];
  return threads.reduce((sum, thread) => sum + Number(readOr(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0), 0);
}

function memoryOf(pid: number): number {
  const pages = Number(readOr(`/proc/${pid}/statm`).split(' ')[1] ?? 0);
  return pages * pageSize;
}

const pageSize = 4096;

/** A thread may end between being listed and being read. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function programVersion(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  try {
    const text = execFileSync('sh', ['-c', `${[command, ...args].join(' ')} 2>&1 || true`], { encoding: 'utf8' });
    return pattern.exec(text)?.[1];
  } catch {
    return undefined;
  }
}
