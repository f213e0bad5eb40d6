import type { ModuleIdentity } from '../../../contracts/hub/device.ts';
import type { Hub } from '../../../hub/service.ts';
import type { HttpAnswer, Route } from '../engine/route.ts';
import { admitToChange, admitToHub, pathOf, readPrecondition, requireJson } from './hub-request.ts';

const module = '/devices/:deviceId/modules/:moduleId';

/** Modules of devices (iot-hub.md 6.4, 6.5). Their etag stands in the body only (1.2). */
export function moduleRoutes(hub: Hub): readonly Route[] {
  const { modules } = hub;
  return [
    {
      method: 'GET',
      path: '/devices/:deviceId/modules',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'RegistryRead');
        return { status: 200, body: await modules.list(name, pathOf(request)) };
      },
    },
    {
      method: 'GET',
      path: module,
      handle: async (request) => render(await modules.get(await admitToHub(hub, request, 'RegistryRead'), pathOf(request))),
    },
    {
      method: 'PUT',
      path: module,
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        const change = { body: await requireJson(request), precondition: readPrecondition(request) };
        return render(await by.modules.put(name, pathOf(request), change));
      },
    },
    {
      method: 'DELETE',
      path: module,
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        await by.modules.delete(name, pathOf(request), readPrecondition(request));
        return { status: 204 };
      },
    },
  ];
}

const render = (body: ModuleIdentity): HttpAnswer => ({ status: 200, body });
