import { checkSharedAccess } from '../access/shared-access.ts';
import type { Clock } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { Provisioning } from './service.ts';

/** Checks the shared access signature of a service request against the policies of the instance. */
export function createAuthorize({
  storage,
  clock,
}: {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
}): Provisioning['authorize'] {
  return async ({ instance, authorization, host, path, right }) => {
    const policies = await storage.read.instances.policies(instance);
    const verdict = checkSharedAccess({ authorization, policies, resource: `${host}${path}`, rights: [right], now: clock.now() });
    if (verdict.ok) return;
    // Which policy has which right is told to those who hold its key; everybody else learns nothing.
    if (verdict.reason === 'right') throw new ServiceError('DpsForbidden', `The policy of this token does not have the right ${right}.`);
    throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail: `Shared access signature: ${verdict.reason}.` });
  };
}
