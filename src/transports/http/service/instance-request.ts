import { apiVersionRule } from '../../../contracts/api-version.ts';
import type { ProvisioningRight } from '../../../contracts/dps/rights.ts';
import { limits } from '../../../contracts/limits.ts';
import { isJsonObject, type Json } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Provisioning, ProvisioningAdministration } from '../../../provisioning/service.ts';
import { causeOf } from '../cause.ts';
import { type PagingRule, readPageRequest } from '../engine/paging.ts';
import { requireQuery } from '../engine/query-parameter.ts';
import type { HttpRequest } from '../engine/route.ts';
import { readmissionGuard } from '../readmission-guard.ts';

/** Pages of this API. */
const paging: PagingRule = { usualItems: limits.queryPage, mostItems: limits.queryPageMaximum, error: 'DpsBadRequest' };

/** Finds the instance by host and checks the right, before any body is read. Returns the instance's name. For what only reads. */
export async function admitToInstance(
  provisioning: Pick<Provisioning, 'instances' | 'authorize'>,
  request: HttpRequest,
  right: ProvisioningRight,
): Promise<string> {
  return (await admit(provisioning, request, right)).instance;
}

/** The same, with the administration in the hands of the policy that signed. For what changes something. */
export async function admitToChange(
  provisioning: Pick<Provisioning, 'instances' | 'authorize' | 'as'>,
  request: HttpRequest,
  right: ProvisioningRight,
): Promise<{
  readonly instance: string;
  readonly by: ProvisioningAdministration;
  /** What the answer says of devices that the change let in again. */
  readonly readmits: () => Readonly<Record<string, string>>;
}> {
  const { instance, policy } = await admit(provisioning, request, right);
  const guard = readmissionGuard(request);
  const by = provisioning.as(causeOf(request, { kind: 'policy', name: policy }), guard);
  return { instance, by, readmits: () => guard.headers() };
}

async function admit(
  provisioning: Pick<Provisioning, 'instances' | 'authorize'>,
  request: HttpRequest,
  right: ProvisioningRight,
): Promise<{ readonly instance: string; readonly policy: string }> {
  requireQuery(request, apiVersionRule, 'DpsBadRequest');
  const instance = await provisioning.instances.byHost(request.host);
  if (instance === undefined) {
    throw new ServiceError('ResourceNotFound', `No provisioning service answers at the host ${request.host}.`);
  }
  const authorization = request.header('authorization');
  const { remoteAddress } = request.peer;
  const { host, path } = request;
  const policy = await provisioning.authorize({ instance: instance.name, authorization, host, path, remoteAddress, right });
  return { instance: instance.name, policy };
}

/** A body that an operation cannot do without. */
export async function requireJson(request: HttpRequest): Promise<Json> {
  const body = await request.readJson(limits.serviceBodyBytes);
  if (body === undefined) throw new ServiceError('DpsBadRequest', 'The request needs a JSON body.');
  return body;
}

/**
 * A query: its text, if it has one (az sends no body with some), and which page of it. `listed` tells the listings of an
 * instance apart.
 */
export async function readQuery(request: HttpRequest, listed: readonly string[]) {
  const body = (await request.readJson(limits.serviceBodyBytes)) ?? {};
  const query = isJsonObject(body) ? (body['query'] ?? '') : undefined;
  if (typeof query !== 'string') throw new ServiceError('DpsBadRequest', 'The body of a query must read {"query": "SELECT *"}.');
  const listing = [...listed, query];
  return { query, listing, page: readPageRequest(request, paging, listing) };
}

export function readPrecondition(request: HttpRequest): Precondition {
  return parseIfMatch(request.header('if-match'));
}
