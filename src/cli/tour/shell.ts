import type { Json } from '../../kernel/json.ts';
import type { CliEnvironment, TextOutput } from '../environment.ts';
import { failure } from '../exit-code.ts';
import { runCli } from '../run.ts';
import { readCommandLine } from './command-line.ts';
import type { Screen } from './screen.ts';

/** Runs commands as a person would, through the very code that their command line runs. Commands come without `muster`. */
export interface Shell {
  /** Shows the command and runs it; what it printed. Throws with the command's own words when it does not end with 0. */
  run(command: string): Promise<string>;
  /** The same, and shows what it printed. */
  show(command: string): Promise<string>;
  /** Runs without showing; for what the tour looks up to check itself. */
  look(command: string): Promise<Json>;
}

export function createShell(deps: Pick<CliEnvironment, 'env' | 'homeFolder'> & { readonly screen: Screen }): Shell {
  const { screen, env, homeFolder } = deps;

  async function execute(command: string): Promise<string> {
    const stdout = createCapture();
    const stderr = createCapture();
    const startService = (): Promise<number> => Promise.reject(failure('The tour starts its service as a process of its own.'));
    const exitCode = await runCli(readCommandLine(command).words, { env, homeFolder, stdout, stderr, startService });
    if (exitCode !== 0) throw failure(`'muster ${command}' ended with ${exitCode}: ${stderr.text().trim()}`);
    return stdout.text();
  }

  async function run(command: string): Promise<string> {
    screen.command(['muster', ...readCommandLine(command).typed]);
    return execute(command);
  }

  return {
    run,
    show: async (command) => {
      const text = await run(command);
      screen.output(text);
      return text;
    },
    look: async (command) => JSON.parse(await execute(`${command} --output json`)) as Json,
  };
}

function createCapture(): TextOutput & { text(): string } {
  const parts: string[] = [];
  return { write: (text) => parts.push(text), text: () => parts.join('') };
}
