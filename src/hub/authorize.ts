import { checkSharedAccess, type SharedAccessRefusal } from '../access/shared-access.ts';
import type { Clock } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireHub } from './lookup.ts';
import type { HubStorage } from './ports.ts';
import type { Hub, HubRight } from './service.ts';

/** Whether a policy's token lets its bearer do something (chapter 2.1). */
export function createAuthorize({ storage, clock }: { readonly storage: HubStorage; readonly clock: Clock }): Hub['authorize'] {
  return async ({ hub, authorization, host, path, right }) => {
    const { name } = await requireHub(storage.read.hubs, hub);
    const policies = await storage.read.hubs.policies(name);
    const verdict = checkSharedAccess({
      authorization,
      policies,
      resource: `${host}${path}`,
      rights: sufficientFor(right),
      now: clock.now(),
    });
    if (!verdict.ok) throw refusal(verdict.reason, right);
  };
}

/** Any one of these is enough. */
function sufficientFor(right: HubRight): readonly HubRight[] {
  return right === 'RegistryRead' ? ['RegistryRead', 'RegistryWrite'] : [right];
}

function refusal(reason: SharedAccessRefusal, right: HubRight): ServiceError {
  if (reason === 'right') {
    return new ServiceError('GenericForbidden', `The shared access policy does not have the right ${right} that this request needs.`, {
      detail: reason,
    });
  }
  const sentence = reason === 'missing' ? 'Authorization header missing' : 'Unauthorized';
  return new ServiceError('IotHubUnauthorizedAccess', sentence, { detail: reason });
}
