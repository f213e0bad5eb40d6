import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** What a sensor knows about the messages it sent, over all of its connections. */
export interface Tally {
  /** Numbers run from 1 to this. */
  sent: number;
  /** Numbers that its hub acknowledged, in order, each with the time on the clock of this process (milliseconds). */
  readonly acknowledged: { readonly number: number; readonly at: number }[];
  /** Why the last message was given up, if it was. */
  failure?: string;
}

export interface Pump {
  /** Sends no more; resolves when the last message has been acknowledged or given up. */
  stop(): Promise<void>;
}

/** How often a sensor sends, in milliseconds. */
export const everyMilliseconds = 50;

/** Sends numbered messages, one after the acknowledgement of the other, until told to stop or until one fails. */
export function startPump({ send, tally }: { readonly send: (number: number) => Promise<void>; readonly tally: Tally }): Pump {
  const stopping = new AbortController();
  async function pump(): Promise<void> {
    while (!stopping.signal.aborted) {
      const began = performance.now();
      tally.sent += 1;
      const number = tally.sent;
      await send(number);
      tally.acknowledged.push({ number, at: performance.now() });
      await delay(Math.max(0, began + everyMilliseconds - performance.now()));
    }
  }
  const ended = pump().catch((error: unknown) => {
    tally.failure = error instanceof Error ? error.message : String(error);
  });
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}

/** The longest time without an acknowledgement, from the first one up to an instant of this process's clock; in milliseconds. */
export function longestPause({ acknowledged }: Tally, until: number): number {
  const times = [...acknowledged.map(({ at }) => at).filter((at) => at < until), until];
  return Math.max(0, ...times.slice(1).map((at, index) => at - (times[index] ?? at)));
}
