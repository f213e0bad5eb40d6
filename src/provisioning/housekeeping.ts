import { type Clock, hours, instant, type Milliseconds, minutes } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createRounds } from '../kernel/rounds.ts';
import type { ProvisioningStorage } from './ports.ts';

/** How long a poll finds its operation: at least an hour (chapter 7). */
const operationRetention = hours(2);
/** Reasons are of use for about as long as somebody remembers the refusal. */
const decisionRetention = hours(24 * 30);
/** About a kilobyte each: a hundred megabytes at most, whoever floods. */
const keptDecisions = 100_000;
/** Decisions after which housekeeping does not wait for its hour. */
export const decisionsBetweenPrunes = 5000;
/** As long as the longest token that a client signs with a sealed key is good for: C# signs for a day. */
const storageRootKeyRetention = hours(25);
const interval = hours(1);

export interface Housekeeping {
  /** Tidies once, and again every hour. */
  start(): Promise<void>;
  /** To be told of every decision that is stored. */
  onDecision(): void;
  /** Tidies no more; resolves when the last round has ended. */
  close(): Promise<void>;
}

/** Forgets ended operations, old decisions and what challenges left, so that neither devices nor strangers can fill the disk. */
export function createHousekeeping({
  storage,
  clock,
  log,
}: {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly log: Logger;
}): Housekeeping {
  let decisions = 0;

  async function tidy(): Promise<void> {
    decisions = 0;
    const forgotten = await storage.write(async (transaction) => ({
      operations: await transaction.registrations.forgetOperations(before(clock, operationRetention)),
      decisions: await transaction.decisions.prune({ before: before(clock, decisionRetention), keep: keptDecisions }),
      storageRootKeys: await transaction.tpm.forgetStorageRootKeys(before(clock, storageRootKeyRetention)),
    }));
    if (Object.values(forgotten).some((count) => count > 0)) log.info('provisioning.tidied', forgotten);
  }

  const rounds = createRounds({ clock, interval, round: tidy, onFailure: (error) => log.error('provisioning.tidy-failed', { error }) });

  return {
    start: () => rounds.now(),
    onDecision() {
      decisions += 1;
      // Later, since this is called within the write of the decision, and a write must not wait for another.
      if (decisions === decisionsBetweenPrunes) clock.after(minutes(1), () => void rounds.now());
    },
    close: () => rounds.close(),
  };
}

function before(clock: Clock, span: Milliseconds) {
  return instant(clock.now() - span);
}
