#!/usr/bin/env node
import { homedir } from 'node:os';
import { runCli } from './cli/run.ts';

const { env, pid, stderr, stdout } = process;
const [, , command] = process.argv;

for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // A reader that has enough, as in `muster … | head -1`, is no failure; the service and the tour need no audience.
    if (command !== 'start' && command !== 'tour') process.exit();
  });
}

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
  // Loaded when asked for: they are most of the code, and most commands need neither.
  startService: async (options) => {
    const { startService } = await import('./composition/start-service.ts');
    return startService(options, { env, stdout, stderr, pid, ended });
  },
  runTour: async () => {
    const { runTour } = await import('./cli/tour/tour.ts');
    return runTour({ stdout, env });
  },
});
