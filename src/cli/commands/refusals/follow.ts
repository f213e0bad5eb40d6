import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import type { Refusal } from '../../../contracts/fleet/refusal.ts';
import { readEvents } from '../../client/event-stream.ts';
import { type MusterApi, openMusterApi } from '../../client/muster-api.ts';
import type { CommandContext } from '../../context.ts';
import { CliFailure, failure } from '../../exit-code.ts';
import { refusalLine } from './refusal-line.ts';

/** How often a stream that broke is taken up again without anything having come, and the pause before. */
const attempts = 5;
const pauseMilliseconds = 1000;

/**
 * Prints refusals as they happen. A stream that breaks is taken up behind the last one that came, so that none is missed.
 * Throws when the service does not come back, or when more happened than it keeps up with.
 */
export async function followRefusals(
  filter: Readonly<Record<string, string>>,
  after: number | undefined,
  context: CommandContext,
): Promise<never> {
  const api = await openMusterApi(context);
  let position = after;
  let stream = await open(api, filter, position);
  context.notice('Watching for devices that are refused, use ctrl-c to stop...');
  for (let left = attempts; left > 0; left -= 1) {
    for await (const refusal of refusalsOf(stream)) {
      left = attempts;
      position = refusal.sequence;
      context.print(context.isForProgram ? JSON.stringify(refusal) : refusalLine(refusal, context));
    }
    if (left === attempts) context.notice('The stream broke off, and is taken up again.');
    await pause(pauseMilliseconds);
    try {
      stream = await open(api, filter, position);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      const resume = position === undefined ? '' : ` Go on with '--after ${position}' when the service is back.`;
      if (left === 1) throw failure(`${error.message}${resume}`);
    }
  }
  throw failure('The service ends the stream of refusals again and again.');
}

async function open(api: MusterApi, filter: Readonly<Record<string, string>>, position: number | undefined): Promise<IncomingMessage> {
  const query = new URLSearchParams({ ...filter, ...(position === undefined ? {} : { after: String(position) }) });
  return await api.follow(`/refusals/stream${query.size === 0 ? '' : `?${query.toString()}`}`);
}

/** The refusals of one connection; ends when it breaks, at once when it has broken before. */
async function* refusalsOf(stream: IncomingMessage): AsyncGenerator<Refusal> {
  if (stream.destroyed) return;
  // Nothing may come for hours; the service sends a comment now and then.
  stream.socket.setTimeout(0);
  try {
    for await (const { event, data } of readEvents(stream)) {
      if (event === 'fell-behind') throw behind(data);
      yield JSON.parse(data) as Refusal;
    }
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
  } finally {
    stream.destroy();
  }
}

function behind(data: string): Error {
  const { from, to } = JSON.parse(data) as { readonly from: number; readonly to: number };
  return failure(
    `More was refused than could be shown: the refusals ${from + 1} to ${to} were left out. 'muster refusals --top 1000' lists the newest, '--follow --after ${to}' goes on behind them.`,
  );
}
