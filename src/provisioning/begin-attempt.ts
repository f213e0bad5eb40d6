import { readRegisterBody, type RegisterBody } from '../contracts/dps/register-body.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { type Attempt, peerFields } from './attempt.ts';
import { checkIdentifier } from './identifier.ts';
import { keepRefusal, type RefusalDependencies } from './keep-refusal.ts';
import type { ProvisioningInstance, ProvisioningTransaction } from './ports.ts';
import type { DeviceRequest, RegisterRequest } from './service.ts';

/** A request of a device before its instance is known. */
export type Opened = Omit<Attempt, 'instance'>;

type BeginDependencies = RefusalDependencies & { readonly ids: Ids; readonly log: Logger };

/** Gives a request its tracking id. Throws `DpsBadRequest`. */
export function openAttempt({ ids }: Pick<BeginDependencies, 'ids'>, request: DeviceRequest, action: Attempt['action']): Opened {
  checkIdentifier('registrationId', request.registrationId);
  return { request, trackingId: ids.trackingId(), action };
}

/** The instance that a device asks. */
export async function findInstance(
  { instances }: Pick<ProvisioningTransaction, 'instances'>,
  { idScope }: DeviceRequest,
): Promise<ProvisioningInstance | undefined> {
  return (await instances.list()).find((instance) => isSameId(instance.idScope, idScope));
}

/** Opens an attempt and finds its instance. Throws `DpsBadRequest` or `DpsUnauthorized`. */
export async function beginAttempt(deps: BeginDependencies, request: DeviceRequest, action: Attempt['action']): Promise<Attempt> {
  const opened = openAttempt(deps, request, action);
  const instance = await findInstance(deps.storage.read, request);
  return instance === undefined ? refuseScope(deps, opened) : { ...opened, instance };
}

/** Nobody has the id scope that was asked for. */
export async function refuseScope(deps: BeginDependencies, { request, trackingId, action }: Opened): Promise<never> {
  const { registrationId } = request;
  const detail = 'No provisioning service has this id scope.';
  deps.log.info('registration', { action, registrationId, verdict: 'refuse', detail, trackingId, ...peerFields(request) });
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
