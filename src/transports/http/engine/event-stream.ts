import type { ServerResponse } from 'node:http';
import { type Cancel, type Clock, seconds } from '../../../kernel/clock.ts';
import type { HttpAnswer, ServerSentEvent } from './route.ts';

/**
 * Writes server-sent events until the source ends or `signal` aborts. The source is asked for the next event only
 * when the last one has left; comments keep an idle stream alive. A client that takes nothing for two heartbeats is
 * let go.
 */
export async function writeEvents(input: {
  readonly response: ServerResponse;
  readonly answer: HttpAnswer & { readonly events: NonNullable<HttpAnswer['events']> };
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly heartbeatSeconds: number;
}): Promise<void> {
  const { response, answer, signal, clock, heartbeatSeconds } = input;
  response.writeHead(answer.status, {
    ...answer.headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.write(': open\n\n');
  const stopHeartbeat = beat(response, clock, heartbeatSeconds);
  try {
    for await (const event of answer.events(signal)) {
      if (signal.aborted) break;
      if (!response.write(renderEvent(event))) await drained(response, signal);
    }
  } finally {
    stopHeartbeat();
    response.end();
  }
}

function renderEvent(event: ServerSentEvent): string {
  const id = event.id === undefined ? '' : `id: ${event.id}\n`;
  const name = event.event === undefined ? '' : `event: ${event.event}\n`;
  const data = event.data.split(/\r\n|\r|\n/u).map((line) => `data: ${line}\n`);
  return `${id}${name}${data.join('')}\n`;
}

function beat(response: ServerResponse, clock: Clock, heartbeatSeconds: number): Cancel {
  let missed = 0;
  let cancel: Cancel = () => {};
  const tick = (): void => {
    if (response.writableNeedDrain) missed += 1;
    else {
      missed = 0;
      response.write(': still here\n\n');
    }
    if (missed >= 2) response.destroy();
    else cancel = clock.after(seconds(heartbeatSeconds), tick);
  };
  cancel = clock.after(seconds(heartbeatSeconds), tick);
  return () => cancel();
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done);
  });
}
