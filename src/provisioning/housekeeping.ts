import { limits } from '../contracts/limits.ts';
import { type Clock, hours, instant, type Milliseconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createTidying, type Tidying } from '../kernel/tidying.ts';
import type { ProvisioningStorage } from './ports.ts';

/** How long a poll finds its operation: at least an hour (chapter 7). */
const operationRetention = hours(2);
/** As long as the longest token that a client signs with a sealed key is good for: C# signs for a day. */
const storageRootKeyRetention = hours(25);

/** Forgets ended operations, old decisions and what challenges left, so that neither devices nor strangers can fill the disk. */
export function createHousekeeping({
  storage,
  clock,
  log,
}: {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly log: Logger;
}): Tidying {
  return createTidying({
    name: 'provisioning',
    clock,
    log,
    rowsBetween: limits.decisionsBetweenPrunes,
    tidy: () =>
      storage.write(async (transaction) => ({
        operations: await transaction.registrations.forgetOperations(before(clock, operationRetention)),
        decisions: await transaction.decisions.prune({
          before: before(clock, hours(24 * limits.decisionDays)),
          keep: limits.keptDecisions,
        }),
        refusals: await transaction.refusals.prune({
          before: before(clock, hours(24 * limits.decisionDays)),
          keep: limits.keptDecisions,
        }),
        storageRootKeys: await transaction.tpm.forgetStorageRootKeys(before(clock, storageRootKeyRetention)),
      })),
  });
}

function before(clock: Clock, span: Milliseconds) {
  return instant(clock.now() - span);
}
