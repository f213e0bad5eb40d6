import type { Logger } from '../kernel/logger.ts';
import type { Housekeeping } from './housekeeping.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { Provisioning } from './service.ts';

/**
 * Ends operations that a crash left open. Registration writes operation and result in one transaction, so there are none
 * unless a version that allocates later left them: their record holds what they came to, or is missing, and then the
 * poll answers that the operation is unknown and the device registers anew.
 */
export function createRecover({
  storage,
  housekeeping,
  log,
}: {
  readonly storage: ProvisioningStorage;
  readonly housekeeping: Housekeeping;
  readonly log: Logger;
}): Provisioning['recover'] {
  return async () => {
    const finishedOperations = await storage.write(async ({ registrations }) => {
      const unfinished = await registrations.unfinishedOperations();
      for (const operation of unfinished) await registrations.putOperation({ ...operation, outcome: 'done' });
      return unfinished.length;
    });
    if (finishedOperations > 0) log.info('provisioning.recovered', { finishedOperations });
    await housekeeping.start();
    return { finishedOperations };
  };
}
