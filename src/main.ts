#!/usr/bin/env node
import { homedir } from 'node:os';
import { runCli } from './cli/run.ts';
import { runTour } from './cli/tour/tour.ts';
import { startService } from './composition/start-service.ts';

const { env, pid, stderr, stdout } = process;

/** The first of the signals that ask a service to end; a second one ends the process at once, as Node does by default. */
const ended = (): Promise<string> =>
  new Promise((resolve) => {
    // A pending promise does not keep Node alive; the open ports do.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });

process.exitCode = await runCli(process.argv.slice(2), {
  env,
  stdout,
  stderr,
  homeFolder: homedir(),
  startService: (options) => startService(options, { env, stdout, stderr, pid, ended }),
  runTour: () => runTour({ stdout, env }),
});
