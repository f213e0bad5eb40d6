import { limits } from '../../../contracts/limits.ts';
import type { Provisioning } from '../../../provisioning/service.ts';
import type { Route } from '../engine/route.ts';
import { readPageRequest, renderPage } from '../engine/paging.ts';
import { admitToInstance, paging, readPrecondition } from './instance-request.ts';

/** Registration records (dps.md 4.1, 4.5). */
export function recordRoutes(provisioning: Provisioning): readonly Route[] {
  const { records } = provisioning;
  return [
    {
      method: 'GET',
      path: '/registrations/:id',
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'RegistrationStatusRead');
        return { status: 200, body: await records.get(instance, request.params['id'] ?? '') };
      },
    },
    {
      method: 'DELETE',
      path: '/registrations/:id',
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'RegistrationStatusWrite');
        await records.delete(instance, request.params['id'] ?? '', readPrecondition(request));
        return { status: 204 };
      },
    },
    {
      // The CLI sends no body, Node a query text that selects nothing.
      method: 'POST',
      path: '/registrations/:id/query',
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'RegistrationStatusRead');
        const page = readPageRequest(request, paging);
        await request.readJson(limits.serviceBodyBytes);
        const found = await records.listByGroup(instance, request.params['id'] ?? '', page);
        return renderPage(found, { itemType: 'deviceRegistration', limit: page.limit });
      },
    },
  ];
}
