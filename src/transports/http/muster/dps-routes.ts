import type { Provisioning } from '../../../provisioning/service.ts';
import { createResourceBody, linkedHubBody, readBody, updateInstanceBody } from './bodies.ts';
import { ifMatch } from './if-match.ts';
import type { MusterRequest, MusterRoute } from './muster-route.ts';

export interface ResourceDeps {
  /** The host name of a resource that is created without one. */
  readonly defaultHostName: (kind: 'dps' | 'hub', name: string) => string;
  /** A resource was created: the server certificate has to carry its name before the answer goes out. */
  readonly onNamesChanged: () => Promise<void>;
  /** Keys or rights of a policy changed: what the data folder tells the command line has to follow before the answer goes out. */
  readonly onKeysChanged: () => Promise<void>;
}

/** Provisioning services and their linked hubs. `If-Match` is the entity tag of the provisioning service, where it is sent. */
export function dpsRoutes(deps: ResourceDeps & { readonly provisioning: Provisioning }): readonly MusterRoute[] {
  const { instances } = deps.provisioning;
  const changing = (request: MusterRequest) => deps.provisioning.as(request.cause).instances;
  return [
    { method: 'GET', path: '/api/v1/dps', handle: async () => ({ status: 200, body: await instances.list() }) },
    {
      method: 'POST',
      path: '/api/v1/dps',
      handle: async (request) => {
        const { name, hostName } = await readBody(request, createResourceBody);
        const created = await changing(request).create({ name, hostName: hostName ?? deps.defaultHostName('dps', name) });
        await deps.onNamesChanged();
        return { status: 200, body: created };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/dps/:name',
      handle: async (request) => ({ status: 200, body: await instances.get(request.params['name'] ?? '') }),
    },
    {
      method: 'PATCH',
      path: '/api/v1/dps/:name',
      handle: async (request) => {
        const change = await readBody(request, updateInstanceBody);
        return {
          status: 200,
          body: await changing(request).update(request.params['name'] ?? '', { ...change, precondition: ifMatch(request) }),
        };
      },
    },
    {
      method: 'PUT',
      path: '/api/v1/dps/:name/linked-hubs/:hostName',
      handle: async (request) => {
        const { name } = await instances.get(request.params['name'] ?? '');
        const hostName = request.params['hostName'] ?? '';
        return {
          status: 200,
          body: await changing(request).linkHub(name, { hostName, ...(await readBody(request, linkedHubBody)) }, ifMatch(request)),
        };
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/dps/:name/linked-hubs/:hostName',
      handle: async (request) => {
        const { name } = await instances.get(request.params['name'] ?? '');
        return { status: 200, body: await changing(request).unlinkHub(name, request.params['hostName'] ?? '', ifMatch(request)) };
      },
    },
  ];
}
