import type { Logger } from '../kernel/logger.ts';
import type { Tidying } from '../kernel/tidying.ts';
import type { PendingAllocations } from './pending-allocations.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { Provisioning } from './service.ts';

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
    const recovered = await storage.write(async ({ registrations }) => {
      const unfinished = await registrations.unfinishedOperations();
      const resumable = unfinished.filter(({ request }) => request !== undefined);
      const others = unfinished.filter(({ request }) => request === undefined);
      for (const operation of others) await registrations.putOperation({ ...operation, outcome: 'done' });
      return { resumable, finishedOperations: others.length };
    });
    const { resumable, finishedOperations } = recovered;
    const resumedOperations = resumable.length;
    if (finishedOperations + resumedOperations > 0) log.info('provisioning.recovered', { finishedOperations, resumedOperations });
    for (const { instance, operationId } of resumable) pending.start({ instance, operationId });
    await housekeeping.start();
    return { finishedOperations, resumedOperations };
  };
}
