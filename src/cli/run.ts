import type { Json } from '../kernel/json.ts';
import { commands } from './commands/all.ts';
import { groupSummaries } from './commands/groups.ts';
import { type CommandContext, dataFolderOf } from './context.ts';
import type { CliEnvironment } from './environment.ts';
import { exitCodes } from './exit-code.ts';
import { expandFileArguments } from './grammar/file-arguments.ts';
import { type GlobalValues, parseArguments, type Request } from './grammar/parse.ts';
import { buildTree } from './grammar/tree.ts';
import { applyQuery, checkQuery } from './output/query.ts';
import { renderResult } from './output/render.ts';
import { reportFailure } from './report.ts';
import { version } from './version.ts';

/**
 * Runs one command line (`argv` without node and script). Resolves with the exit code and never rejects: 0 ok,
 * 1 failure, 2 bad usage, 3 not found.
 */
export async function runCli(argv: readonly string[], environment: CliEnvironment): Promise<number> {
  const debug = argv.includes('--debug');
  try {
    if (argv.length === 1 && argv[0] === '--version') {
      environment.stdout.write(`muster ${version()}\n`);
      return exitCodes.ok;
    }
    const request = parseArguments(buildTree(commands, groupSummaries), expandFileArguments(argv));
    if (request.kind === 'help') return showHelp(request, argv, environment);
    return await execute(request, environment);
  } catch (error) {
    return reportFailure(error, environment.stderr, debug);
  }
}

function showHelp({ text, asked }: Request & { readonly kind: 'help' }, argv: readonly string[], environment: CliEnvironment): number {
  environment.stdout.write(text);
  if (asked || argv.length === 0) return exitCodes.ok;
  environment.stderr.write(`ERROR: '${['muster', ...argv].join(' ')}' is the beginning of several commands. Add one of the words above.\n`);
  return exitCodes.usage;
}

async function execute({ command, values, globals }: Request & { readonly kind: 'run' }, environment: CliEnvironment): Promise<number> {
  if (globals.query !== undefined) checkQuery(globals.query);
  const context = createContext(globals, environment);
  const result = await command.run(values, context);
  if ('exitCode' in result) return result.exitCode;
  environment.stdout.write(present(result.value, globals, environment));
  return exitCodes.ok;
}

function present(value: Json | undefined, globals: GlobalValues, { env, stdout }: CliEnvironment): string {
  const queried = globals.query !== undefined;
  const shown = globals.query === undefined ? value : applyQuery(value, globals.query);
  return renderResult(shown, { format: globals.output ?? 'json', queried, colours: stdout.isTTY === true && !env['NO_COLOR'] });
}

function createContext(globals: GlobalValues, environment: CliEnvironment): CommandContext {
  const { stdout, stderr } = environment;
  const talkative = globals.verbose === true || globals.debug === true;
  return {
    environment,
    dataFolder: dataFolderOf(globals.data, environment),
    output: globals.output ?? 'json',
    isQueried: globals.query !== undefined,
    isForProgram: globals.output !== undefined || globals.query !== undefined,
    show: (value) => void stdout.write(present(value, globals, environment)),
    notice: (line) => globals.onlyShowErrors !== true && stderr.write(`${line}\n`),
    print: (line) => stdout.write(`${line}\n`),
    detail: (line) => talkative && stderr.write(`${line}\n`),
  };
}
