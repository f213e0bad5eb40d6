import { apiVersionRule } from '../../../contracts/api-version.ts';
import { limits } from '../../../contracts/limits.ts';
import { identityPath, type IdentityPath } from '../../../contracts/hub/identity-path.ts';
import type { Json } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Hub, HubAdministration, HubRight } from '../../../hub/service.ts';
import { causeOf } from '../cause.ts';
import type { PagingRule } from '../engine/paging.ts';
import { requireQuery } from '../engine/query-parameter.ts';
import type { HttpRequest } from '../engine/route.ts';

/** Pages and lists of this API. */
export const paging: PagingRule = { usualItems: limits.queryPage, mostItems: limits.queryPageMaximum, error: 'ArgumentInvalid' };

/** Finds the hub that the `Host` header names. Throws `IotHubNotFound`. */
export async function findHub({ hubs }: Pick<Hub, 'hubs'>, request: HttpRequest): Promise<string> {
  requireQuery(request, apiVersionRule, 'InvalidProtocolVersion');
  const found = await hubs.byHost(request.host);
  if (found === undefined) throw new ServiceError('IotHubNotFound', `No hub answers at the host ${request.host}.`);
  return found.name;
}

/** Finds the hub and checks the right, before any body is read. Returns the hub's name. For what only reads. */
export async function admitToHub(hub: Pick<Hub, 'hubs' | 'authorize'>, request: HttpRequest, right: HubRight): Promise<string> {
  return (await admit(hub, request, right)).name;
}

/** The same, with the administration in the hands of the policy that signed. For what changes something. */
export async function admitToChange(
  hub: Pick<Hub, 'hubs' | 'authorize' | 'as'>,
  request: HttpRequest,
  right: HubRight,
): Promise<{ readonly name: string; readonly by: HubAdministration }> {
  const { name, policy } = await admit(hub, request, right);
  return { name, by: hub.as(causeOf(request, { kind: 'policy', name: policy })) };
}

async function admit(
  hub: Pick<Hub, 'hubs' | 'authorize'>,
  request: HttpRequest,
  right: HubRight,
): Promise<{ readonly name: string; readonly policy: string }> {
  const name = await findHub(hub, request);
  const { host, path } = request;
  const peer = { transport: 'https', remoteAddress: request.peer.remoteAddress } as const;
  const policy = await hub.authorize({ hub: name, authorization: request.header('authorization'), host, path, right, peer });
  return { name, policy };
}

/** A body that an operation cannot do without. */
export async function requireJson(request: HttpRequest): Promise<Json> {
  const body = await request.readJson(limits.serviceBodyBytes);
  if (body === undefined) throw new ServiceError('DeserializationError', 'The request needs a JSON body.');
  return body;
}

/** The identity that the parameters of a route name: a device, or a module of one. Throws `ArgumentInvalid`. */
export function pathOf({ params }: HttpRequest): IdentityPath {
  const { deviceId = '', moduleId } = params;
  // An encoded slash in one of the ids would name another identity.
  for (const id of [deviceId, moduleId ?? '']) {
    if (id.includes('/')) throw new ServiceError('ArgumentInvalid', `The id '${id}' has a slash, which no id of a device or module has.`);
  }
  return identityPath({ deviceId, ...(moduleId === undefined ? {} : { moduleId }) });
}

export function readPrecondition(request: HttpRequest): Precondition {
  return parseIfMatch(request.header('if-match'));
}
