import { homedir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import type { CliEnvironment } from '../environment.ts';
import { readCommandLine } from './command-line.ts';
import { openFleet } from './fleet.ts';
import { createLedger } from './ledger.ts';
import type { Screen } from './screen.ts';
import { type ServiceProcess, startServiceProcess } from './service-process.ts';
import { createShell } from './shell.ts';
import type { Fleet, Stage } from './stage.ts';
import { inSeconds } from './words.ts';

/** The stage, and what clears it. */
export interface OpenStage extends Stage {
  /** Takes devices and service away; resolves when they are gone. */
  close(): Promise<void>;
}

/** Sets the stage in a folder that this process is in. Nothing runs before `startService`. */
export function openStage(deps: {
  readonly folder: string;
  readonly screen: Screen;
  readonly env: CliEnvironment['env'];
  readonly signal: AbortSignal;
}): OpenStage {
  const { folder, screen, signal } = deps;
  const env = environmentOfTour(deps.env);
  const shell = createShell({ screen, env, homeFolder: homedir() });
  let service: ServiceProcess | undefined;
  let fleet: Awaited<ReturnType<typeof openFleet>> | undefined;
  return {
    screen,
    shell,
    ledger: createLedger(),
    startService: async (command) => {
      const { typed, words } = readCommandLine(command);
      screen.command(['cd', folder]);
      screen.command(['export', `MUSTER_DATA=${dataFolder}`]);
      screen.command(['muster', ...typed, '&']);
      const began = performance.now();
      service = await startServiceProcess(words, { env, signal });
      screen.fact('ready', `after ${inSeconds(performance.now() - began)}, process ${service.pid}`);
    },
    assembleFleet: async () => {
      fleet = await openFleet(contextFor(env, join(folder, dataFolder)));
      return fleet;
    },
    fleet: (): Fleet => {
      if (fleet === undefined) throw failure('The devices are not there yet.');
      return fleet;
    },
    close: async () => {
      // Without a service, whatever a device still waits for ends.
      const devices = fleet?.close();
      await service?.close();
      await devices;
    },
  };
}

const dataFolder = 'data';

/** What the person has set up for a service of their own is not for this one. */
function environmentOfTour(env: CliEnvironment['env']): CliEnvironment['env'] {
  const others = Object.entries(env).filter(([name]) => !name.startsWith('MUSTER_'));
  return { ...Object.fromEntries(others), MUSTER_DATA: dataFolder };
}

/** For what the tour asks the service by itself. */
function contextFor(env: CliEnvironment['env'], path: string): CommandContext {
  const silent = { write: () => true };
  const startService = (): Promise<number> => Promise.reject(failure('The tour starts its service as a process of its own.'));
  return {
    environment: { env, stdout: silent, stderr: silent, homeFolder: homedir(), startService },
    dataFolder: path,
    output: 'json',
    isQueried: false,
    isForProgram: true,
    show: () => undefined,
    notice: () => undefined,
    print: () => undefined,
    detail: () => undefined,
  };
}
