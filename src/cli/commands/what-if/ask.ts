import type { IncomingMessage } from 'node:http';

import type { Forecast, WhatIfSummary } from '../../../contracts/fleet/what-if.ts';
import type { Json, JsonObject } from '../../../kernel/json.ts';
import { readEvents, type StreamEvent } from '../../client/event-stream.ts';
import { openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { exitCodes, failure } from '../../exit-code.ts';
import { flag, list, text } from '../../grammar/option.ts';
import { createPage } from '../../output/page.ts';
import { showForecasts } from './forecast-page.ts';

/** What every question takes. */
export const questionOptions = {
  all: flag(['--all'], 'Show devices that stay as they are, too.'),
  devices: list(['--device', '-d'], 'Ask about these registration IDs alone. Default: every device that is known.'),
} as const;

export const dpsNameOption = {
  dpsName: text(['--dps-name', '-n'], 'Provisioning service that would be changed. Default: the only one.'),
} as const;

export interface QuestionValues {
  readonly all: boolean | undefined;
  readonly devices: readonly string[] | undefined;
}

/** Asks about a change, shows how far the service is, and in the end what came of it. */
export async function askWhatIf(change: JsonObject, { all, devices }: QuestionValues, context: CommandContext): Promise<number> {
  const api = await openMusterApi(context);
  const { stderr } = context.environment;
  const body = { change, all: all === true, ...(devices === undefined ? {} : { devices }) };
  const found: Forecast[] = [];
  for await (const { event, data } of eventsOf(await api.follow('/what-if/stream', body))) {
    const said = JSON.parse(data) as Said;
    if (event === 'device') found.push(said.device);
    if (event === 'progress' && stderr.isTTY === true) stderr.write(`\r ${said.examined} of ${said.total} devices`);
    if (event !== 'summary') continue;
    if (stderr.isTTY === true) stderr.write('\r\u001B[K');
    if (context.isForProgram) context.show({ ...said.summary, devices: found } as unknown as Json);
    else showForecasts(said.summary, found, createPage(context.print, context.environment));
    return exitCodes.ok;
  }
  throw failure('The service ended before it had gone through all devices. Ask again.');
}

/** The data of the events, each of which has some of it. */
interface Said {
  readonly device: Forecast;
  readonly summary: WhatIfSummary;
  readonly examined: number;
  readonly total: number;
}

/** Ends when the connection breaks. */
async function* eventsOf(stream: IncomingMessage): AsyncGenerator<StreamEvent> {
  try {
    yield* readEvents(stream);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
  } finally {
    stream.destroy();
  }
}
