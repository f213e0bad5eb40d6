import { limits } from '../../contracts/limits.ts';
import { type Clock, instant, seconds } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { createRounds, type Rounds } from '../../kernel/rounds.ts';
import type { HubStorage, SessionBus } from '../ports.ts';
import { endMessage } from './end-message.ts';

/** How late a message may be ended whose time is over, and its sender told. */
const interval = seconds(10);
/** Messages ended in one transaction, so that others get their turn. */
const batch = 100;

interface HousekeepingDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Ends messages whose time is over, whether their device comes or not, and forgets feedback that nobody fetched. */
export function openMessageHousekeeping(deps: HousekeepingDeps): Rounds {
  return createRounds({
    clock: deps.clock,
    interval,
    round: () => tidy(deps),
    onFailure: (error) => deps.log.error('messages.tidy-failed', { error }),
  });
}

async function tidy({ storage, bus, clock, log }: HousekeepingDeps): Promise<void> {
  const now = clock.now();
  let expired = 0;
  for (;;) {
    const due = await storage.read.queues.expired({ now, limit: batch });
    if (due.length === 0) break;
    expired += due.length;
    await storage.write(async (transaction) => {
      // Asked again: somebody may have settled or locked them since.
      for (const row of await transaction.queues.expired({ now, limit: batch }))
        await endMessage({ transaction, bus, now }, row, 'Expired');
    });
  }
  const before = instant(now - seconds(limits.feedbackLifeSeconds));
  const forgotten = await storage.write((transaction) => transaction.feedback.forget(before));
  if (expired + forgotten > 0) log.info('messages.tidied', { expired, forgotten });
}
