import { apiVersionRule } from '../../../contracts/api-version.ts';
import { limits } from '../../../contracts/limits.ts';
import type { Json } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Provisioning, ProvisioningRight } from '../../../provisioning/service.ts';
import type { PagingRule } from '../engine/paging.ts';
import { requireQuery } from '../engine/query-parameter.ts';
import type { HttpRequest } from '../engine/route.ts';

/** Pages of this API. */
export const paging: PagingRule = { usualItems: limits.queryPage, mostItems: limits.queryPageMaximum, error: 'DpsBadRequest' };

/** Finds the instance by host and checks the right, before any body is read. Returns the instance's name. */
export async function admitToInstance(
  provisioning: Pick<Provisioning, 'instances' | 'authorize'>,
  request: HttpRequest,
  right: ProvisioningRight,
): Promise<string> {
  requireQuery(request, apiVersionRule, 'DpsBadRequest');
  const instance = await provisioning.instances.byHost(request.host);
  if (instance === undefined) {
    throw new ServiceError('ResourceNotFound', `No provisioning service answers at the host ${request.host}.`);
  }
  const authorization = request.header('authorization');
  await provisioning.authorize({ instance: instance.name, authorization, host: request.host, path: request.path, right });
  return instance.name;
}

/** A body that an operation cannot do without. */
export async function requireJson(request: HttpRequest): Promise<Json> {
  const body = await request.readJson(limits.serviceBodyBytes);
  if (body === undefined) throw new ServiceError('DpsBadRequest', 'The request needs a JSON body.');
  return body;
}

export function readPrecondition(request: HttpRequest): Precondition {
  return parseIfMatch(request.header('if-match'));
}
