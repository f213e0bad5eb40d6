import type { Provisioning } from '../../../provisioning/service.ts';
import type { Route } from '../engine/route.ts';
import { renderPage } from '../engine/paging.ts';
import { admitToChange, admitToInstance, readPrecondition, readQuery } from './instance-request.ts';

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
        const { instance, by } = await admitToChange(provisioning, request, 'RegistrationStatusWrite');
        await by.records.delete(instance, request.params['id'] ?? '', readPrecondition(request));
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: '/registrations/:id/query',
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'RegistrationStatusRead');
        const group = request.params['id'] ?? '';
        const { query, page, listing } = await readQuery(request, [instance, 'deviceRegistration', group.toLowerCase()]);
        const found = await records.listByGroup(instance, group, { ...page, query });
        return renderPage(found, { itemType: 'deviceRegistration', limit: page.limit, listing });
      },
    },
  ];
}
