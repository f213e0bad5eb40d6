import { limits } from '../../../contracts/limits.ts';
import type { DeviceIdentity } from '../../../contracts/hub/device.ts';
import type { Hub } from '../../../hub/service.ts';
import type { HttpAnswer, Route } from '../engine/route.ts';
import { readCount } from '../engine/paging.ts';
import { runBulkRegistry } from './bulk-registry.ts';
import { admitToChange, admitToHub, paging, readPrecondition, requireJson } from './hub-request.ts';

/** The identity registry (iot-hub.md 6.4, 6.5); rights as in 2.1. */
export function registryRoutes(hub: Hub): readonly Route[] {
  const { registry } = hub;
  return [
    {
      method: 'GET',
      path: '/devices/:deviceId',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'RegistryRead');
        return renderDevice(await registry.get(name, request.params['deviceId'] ?? ''));
      },
    },
    {
      method: 'PUT',
      path: '/devices/:deviceId',
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        const change = { body: await requireJson(request), precondition: readPrecondition(request) };
        return renderDevice(await by.registry.put(name, request.params['deviceId'] ?? '', change));
      },
    },
    {
      method: 'DELETE',
      path: '/devices/:deviceId',
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        await by.registry.delete(name, request.params['deviceId'] ?? '', readPrecondition(request));
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/devices',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'RegistryRead');
        const top = readCount(request.query('top'), 'The query parameter top', paging);
        return { status: 200, body: (await registry.list(name, { limit: top ?? limits.queryPageMaximum })).items };
      },
    },
    {
      method: 'POST',
      path: '/devices',
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'RegistryWrite');
        const result = await runBulkRegistry({ by, name, body: await requireJson(request) });
        return { status: result.isSuccessful ? 200 : 400, body: result };
      },
    },
    {
      method: 'GET',
      path: '/statistics/service',
      handle: async (request) => ({ status: 200, body: await registry.connected(await admitToHub(hub, request, 'ServiceConnect')) }),
    },
    {
      method: 'GET',
      path: '/statistics/devices',
      handle: async (request) => ({ status: 200, body: await registry.statistics(await admitToHub(hub, request, 'RegistryRead')) }),
    },
  ];
}

/** The etag stands quoted in the header and bare in the body (iot-hub.md 1.2). */
function renderDevice(device: DeviceIdentity): HttpAnswer {
  return { status: 200, headers: { etag: `"${device.etag}"` }, body: device };
}
