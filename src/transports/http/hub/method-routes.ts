import { limits } from '../../../contracts/limits.ts';
import type { Hub } from '../../../hub/service.ts';
import type { Route } from '../engine/route.ts';
import { admitToHub, pathOf, requireJson } from './hub-request.ts';

/** Direct methods of devices and modules (iot-hub.md 6.8). */
export function methodRoutes(hub: Hub): readonly Route[] {
  return ['/twins/:deviceId/methods', '/twins/:deviceId/modules/:moduleId/methods'].map((path): Route => ({
    method: 'POST',
    path,
    // The device may take all of both time-outs; the caller asked for them.
    exchangeSeconds: limits.methodConnectSeconds.most + limits.methodResponseSeconds.most + limits.httpExchangeSeconds,
    handle: async (request) => {
      const name = await admitToHub(hub, request, 'ServiceConnect');
      return { status: 200, body: await hub.methods.invoke(name, pathOf(request), await requireJson(request)) };
    },
  }));
}
