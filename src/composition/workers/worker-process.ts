import cluster, { type Worker } from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { FromWorker, ToWorker } from './messages.ts';

/** A process that serves devices for a service. */
export interface WorkerProcess {
  send(message: ToWorker): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** Calls back once, with the exit code or the signal that ended it. */
  onExit(listener: (cause: number | string) => void): void;
  kill(): void;
}

export type StartWorker = () => WorkerProcess;

/**
 * Starts workers as processes that share the ports they listen on. Each takes connections from the kernel by itself: passing every
 * one on from this process costs a quarter more CPU a handshake.
 */
export function createWorkerStarter(): StartWorker {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const program = fileURLToPath(new URL(`./worker-main${extname(import.meta.url)}`, import.meta.url));
  cluster.setupPrimary({ exec: program, args: [], silent: false });
  return () => processOf(cluster.fork());
}

function processOf(worker: Worker): WorkerProcess {
  return {
    // A worker may end at any time; its end is told by `onExit`, not by what could not be sent any more.
    send: (message) => void (worker.isConnected() && worker.process.send?.(message, undefined, {}, () => {})),
    onMessage: (listener) => void worker.on('message', (message: FromWorker) => listener(message)),
    onExit: (listener) => void worker.once('exit', (code: number | null, signal: string | null) => listener(signal ?? code ?? 0)),
    kill: () => void worker.process.kill('SIGKILL'),
  };
}
