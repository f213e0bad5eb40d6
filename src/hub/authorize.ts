import { checkSharedAccess, type SharedAccessRefusal } from '../access/shared-access.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireHub } from './lookup.ts';
import type { HubStorage } from './ports.ts';
import type { Hub, HubRight } from './service.ts';
import { policyStamp } from './stamps.ts';

/** Whether a policy's token lets its bearer do something (chapter 2.1). */
export function createAuthorize(deps: AuthorizeDeps): Hub['authorize'] {
  return async (request) => (await judgePolicyToken(deps, request)).keyName;
}

interface AuthorizeDeps {
  readonly storage: HubStorage;
  readonly clock: Clock;
}

/** The same, and what the token was good for: the stamp of the key that signed it, and its end. */
export async function judgePolicyToken(
  { storage, clock }: AuthorizeDeps,
  { hub, authorization, host, path, right }: Parameters<Hub['authorize']>[0],
): Promise<{ readonly keyName: string; readonly stamp: string; readonly expiresAt: Instant }> {
  const { name } = await requireHub(storage.read.hubs, hub);
  const policies = await storage.read.hubs.policies(name);
  const resource = `${host}${path}`;
  const verdict = checkSharedAccess({ authorization, policies, resource, rights: sufficientFor(right), now: clock.now() });
  if (!verdict.ok) throw refusal(verdict.reason, right);
  const key = policies.find(({ keyName }) => keyName === verdict.keyName)?.[verdict.key] ?? '';
  const { keyName, expiresAt } = verdict;
  return { keyName, stamp: policyStamp(name, keyName, key), expiresAt };
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
