import { readRegisterBody, type RegisterBody } from '../contracts/dps/register-body.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type Attempt, peerFields } from './attempt.ts';
import { checkIdentifier } from './identifier.ts';
import { keepRefusal, type RefusalDependencies } from './keep-refusal.ts';
import type { ProvisioningTransaction } from './ports.ts';
import type { DeviceRequest, RegisterRequest } from './service.ts';

/** Finds the instance that a device asks, and gives the request its tracking id. Throws `DpsBadRequest` or `DpsUnauthorized`. */
export async function beginAttempt(
  deps: RefusalDependencies & { readonly ids: Ids; readonly log: Logger },
  request: DeviceRequest,
  action: Attempt['action'],
): Promise<Attempt> {
  const { storage, ids, log } = deps;
  checkIdentifier('registrationId', request.registrationId);
  const trackingId = ids.trackingId();
  const instances = await storage.read.instances.list();
  const instance = instances.find(({ idScope }) => isSameId(idScope, request.idScope));
  if (instance !== undefined) return { request, instance, trackingId, action };
  const detail = 'No provisioning service has this id scope.';
  log.info('registration', {
    action,
    registrationId: request.registrationId,
    verdict: 'refuse',
    detail,
    trackingId,
    ...peerFields(request),
  });
  await keepRefusal(deps, { request, trackingId, instance: '' }, ['DpsUnauthorized', 'id-scope', 'unknown-id-scope', detail]);
  throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail, trackingId });
}

/** The same with its instance as it is committed: an IP filter that was written meanwhile holds. */
export async function refreshed({ instances }: Pick<ProvisioningTransaction, 'instances'>, attempt: Attempt): Promise<Attempt> {
  return { ...attempt, instance: (await instances.get(attempt.instance.name)) ?? attempt.instance };
}

/** The body of a device, which may not name another one than it is addressed to. Throws `DpsBadRequest`. */
export function readBodyOf(request: RegisterRequest): RegisterBody {
  const body = readRegisterBody(request.body);
  if (body.registrationId === undefined || isSameId(body.registrationId, request.registrationId)) return body;
  throw new ServiceError('DpsBadRequest', 'registrationId in the body differs from the one that the request is addressed to.');
}

/** Id scopes and registration ids compare without case. */
export function isSameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
