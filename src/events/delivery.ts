import { type Cancel, type Clock, type Milliseconds, seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createWaiter, type Waiter } from '../kernel/waiter.ts';
import { renderEvent } from './event-list.ts';
import type { EventRow, EventStorage, EventWebhook } from './ports.ts';

/** Sends events to a webhook. */
export interface EventDelivery {
  /** To be called after the commit of an event. */
  ring(): void;
  /** Ends the call that is under way; what was not taken is sent after the next start. */
  close(): Promise<void>;
}

/** Pauses after a failure: one second at first, doubled with each further one, at most five minutes. */
const firstPauseSeconds = 1;
const mostPauseSeconds = 300;

export interface DeliveryDeps {
  readonly storage: EventStorage;
  readonly webhook: EventWebhook;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Sends every event that is kept, in order, until it is taken: each at least once, since what was sent is noted after it was
 * taken. It reads from the store at its own pace, so a webhook that is gone costs no memory; what the store forgets meanwhile
 * is a gap in the sequence numbers.
 */
export function openEventDelivery(deps: DeliveryDeps): EventDelivery {
  const bell = createWaiter();
  const closing = new AbortController();
  const running = run(deps, bell, closing.signal).catch((error: unknown) => deps.log.error('events.delivery-ended', { error }));
  return {
    ring: bell.ring,
    async close() {
      closing.abort();
      bell.ring();
      await running;
    },
  };
}

async function run(deps: DeliveryDeps, bell: Waiter, signal: AbortSignal): Promise<void> {
  const { storage, log } = deps;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const [event] = await storage.read.events.after(await storage.read.events.delivered(), 1);
      if (event === undefined) {
        await bell.next();
        continue;
      }
      if (await deliver(deps, event, { signal, failures })) {
        failures = 0;
        continue;
      }
    } catch (error) {
      // The store may be full for a while; nothing is lost by trying again.
      log.error('events.delivery-failed', { error });
    }
    if (signal.aborted) return;
    failures += 1;
    await pause(deps.clock, pauseAfter(failures), signal);
  }
}

/** Whether it was taken. */
async function deliver(
  { storage, webhook, log }: DeliveryDeps,
  event: EventRow,
  { signal, failures }: { readonly signal: AbortSignal; readonly failures: number },
): Promise<boolean> {
  const { sequence, kind } = event;
  const result = await webhook.send({ sequence, body: JSON.stringify(renderEvent(event)), signal });
  if (signal.aborted && result.kind === 'failed') return false;
  if (result.kind === 'failed') {
    const { detail, elapsed } = result;
    log.warn('events.not-taken', { sequence, kind, detail, elapsed, retryInSeconds: pauseAfter(failures + 1) / 1000 });
    return false;
  }
  await storage.write(({ events }) => events.markDelivered(sequence));
  log.info('events.taken', { sequence, kind, status: result.status, elapsed: result.elapsed });
  return true;
}

function pauseAfter(failures: number): Milliseconds {
  return seconds(Math.min(mostPauseSeconds, firstPauseSeconds * 2 ** Math.min(failures - 1, 20)));
}

/** Ends early when the signal aborts. */
function pause(clock: Clock, span: Milliseconds, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let cancel: Cancel = () => {};
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    cancel = clock.after(span, end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
