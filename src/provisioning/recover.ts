import type { Logger } from '../kernel/logger.ts';
import type { Tidying } from '../kernel/tidying.ts';
import type { OperationKey, PendingAllocations } from './pending-allocations.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { Provisioning } from './service.ts';

const pageSize = 1000;

/**
 * Goes on with registrations that a crash or a stop left between their two transactions: their webhooks are asked again.
 * An operation that kept no request was left by a version that did not write one; its record holds what it came to, or is
 * missing, and then the poll answers that the operation is unknown and the device registers anew.
 */
export function createRecover({
  storage,
  housekeeping,
  pending,
  log,
}: {
  readonly storage: ProvisioningStorage;
  readonly housekeeping: Pick<Tidying, 'start'>;
  readonly pending: PendingAllocations;
  readonly log: Logger;
}): Provisioning['recover'] {
  return async () => {
    const finishedOperations = await storage.write(({ registrations }) => registrations.endRequestlessOperations());
    let resumedOperations = 0;
    for await (const key of unfinished(storage)) {
      pending.start(key);
      resumedOperations += 1;
    }
    if (finishedOperations + resumedOperations > 0) log.info('provisioning.recovered', { finishedOperations, resumedOperations });
    await housekeeping.start();
    return { finishedOperations, resumedOperations };
  };
}

/** Their keys alone: what their devices asked may be a hundred kilobytes each, and is read when its turn comes. */
async function* unfinished({ read }: ProvisioningStorage): AsyncGenerator<OperationKey> {
  let after: string | undefined;
  do {
    const { items, next } = await read.registrations.unfinishedOperations({ limit: pageSize, ...(after === undefined ? {} : { after }) });
    yield* items;
    after = next;
  } while (after !== undefined);
}
