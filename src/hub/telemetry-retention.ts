import { limits } from '../contracts/limits.ts';
import { type Clock, hours, instant } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createRounds, type Rounds } from '../kernel/rounds.ts';
import type { HubStorage } from './ports.ts';

/** Few enough for one write that nobody notices it between two others. */
const messagesPerWrite = 5000;
const interval = hours(1);

interface RetentionDeps {
  readonly storage: HubStorage;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Forgets telemetry that is older than promised, once now and then every hour, so that devices cannot fill the disk for ever. */
export function openTelemetryRetention(deps: RetentionDeps): Rounds {
  const rounds = createRounds({
    clock: deps.clock,
    interval,
    round: () => tidy(deps),
    onFailure: (error) => deps.log.error('hub.tidy-failed', { error }),
  });
  void rounds.now();
  return rounds;
}

async function tidy({ storage, clock, log }: RetentionDeps): Promise<void> {
  const before = instant(clock.now() - hours(limits.telemetryRetentionHours));
  for (const { name: hub } of await storage.read.hubs.list()) {
    let messages = 0;
    let removed: number;
    do {
      removed = await storage.write(({ telemetry }) => telemetry.forget(hub, { before, atMost: messagesPerWrite }));
      messages += removed;
    } while (removed === messagesPerWrite);
    if (messages > 0) log.info('hub.tidied', { hub, messages });
  }
}
