import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { type MusterApi, openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { pause } from '../../device/waiting.ts';
import { exitCodes } from '../../exit-code.ts';
import { defineCommand, defineLiveCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { jsonText } from '../../json-text.ts';
import { createPage } from '../../output/page.ts';

const lookEvery = 250;
const barWidth = 30;

export const runShow = defineLiveCommand({
  name: 'run show',
  summary: 'Show how far a run of many devices is; follows it to its end.',
  examples: [{ text: 'Go back to a run after the terminal was closed.', command: 'run show run-0mi3x9k2a-1f2e3d4c' }],
  options: { run: required(text(['--run', '--id'], 'Id of the run.', { positional: true })) },
  async run({ run }, context) {
    const api = await openMusterApi(context);
    return await followRun(api, await api.send({ method: 'GET', path: pathOf(run) }), context);
  },
});

export const runList = defineCommand({
  name: 'run list',
  summary: 'List runs of many devices, the newest first.',
  examples: [{ text: 'List them.', command: 'run list -o table --query "[].{run:id, done:counts.done, failed:counts.failed}"' }],
  options: {},
  run: async (_values, context) => await (await openMusterApi(context)).send({ method: 'GET', path: '/runs' }),
});

const pathOf = (run: string): string => `/runs/${encodeURIComponent(run)}`;

/** Follows a run to its end, with a bar on a terminal; the service goes on without anybody who follows. */
export async function followRun(api: MusterApi, started: Json, context: CommandContext): Promise<number> {
  const { stderr } = context.environment;
  const id = isJsonObject(started) ? jsonText(started['id']) : '';
  context.notice(`Run ${id}. It goes on without this terminal, and after a restart; 'muster run show ${id}' comes back to it.`);
  let run = started;
  while (!isFinished(run)) {
    if (stderr.isTTY === true) stderr.write(`\r${bar(run)}`);
    await pause(lookEvery);
    run = await api.send({ method: 'GET', path: pathOf(id) });
  }
  if (stderr.isTTY === true) stderr.write(`\r${bar(run)}\n`);
  const told = await toldItems(api, id, run);
  const failed = told.filter(({ state }) => state === 'failed');
  const items = isDryRun(run) ? { items: told } : {};
  if (context.isForProgram) context.show({ ...(run as JsonObject), failed, ...items });
  else showRun(run, told, context);
  return failed.length === 0 ? exitCodes.ok : exitCodes.failure;
}

function isFinished(run: Json): boolean {
  return isJsonObject(run) && typeof run['finishedAt'] === 'string';
}

interface Counts {
  readonly pending: number;
  readonly done: number;
  readonly failed: number;
}

function countsOf(run: Json): Counts {
  // The service answers in this shape.
  return (isJsonObject(run) ? run['counts'] : undefined) as unknown as Counts;
}

function bar(run: Json): string {
  const { pending, done, failed } = countsOf(run);
  const total = pending + done + failed;
  const filled = total === 0 ? barWidth : Math.floor(((done + failed) / total) * barWidth);
  return ` ${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)} ${done + failed} of ${total}${failed === 0 ? '' : `, ${failed} failed`}`;
}

const isDryRun = (run: Json): boolean => isJsonObject(run) && run['dryRun'] === true;

/** What there is to say of single devices: of a dry run everything, otherwise what went wrong. */
async function toldItems(api: MusterApi, id: string, run: Json): Promise<readonly JsonObject[]> {
  if (countsOf(run).failed === 0 && !isDryRun(run)) return [];
  const told: JsonObject[] = [];
  let after = '';
  do {
    const page = await api.send({ method: 'GET', path: `${pathOf(id)}/items?top=1000${after}` });
    const { items, next } = page as { readonly items: readonly JsonObject[]; readonly next?: string };
    told.push(...items.filter(({ state }) => isDryRun(run) || state === 'failed'));
    after = next === undefined ? '' : `&after=${next}`;
  } while (after !== '');
  return told;
}

function showRun(run: Json, told: readonly JsonObject[], context: CommandContext): void {
  const page = createPage(context.print, context.environment);
  const { done, pending, failed } = countsOf(run);
  const are = isDryRun(run) ? 'would be out' : done === 1 ? 'is out' : 'are out';
  page.title(
    `${done} ${done === 1 ? 'device' : 'devices'} ${are}${failed === 0 ? '' : `, ${failed} could not be put out`}`,
    isJsonObject(run) ? jsonText(run['id']) : '',
  );
  if (pending > 0) page.item('unknown', `${pending} are still to come.`);
  for (const { target, message, state } of told) {
    page.item(state === 'failed' ? 'bad' : 'plain', `${jsonText(target)}: ${jsonText(message)}`);
  }
  page.item('plain', isDryRun(run) ? 'Nothing was written.' : "Each has a receipt: 'muster receipt list DEVICE'.");
}
