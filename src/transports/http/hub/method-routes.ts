import { limits } from '../../../contracts/limits.ts';
import type { Hub } from '../../../hub/service.ts';
import type { Route } from '../engine/route.ts';
import { admitToHub, requireJson } from './hub-request.ts';

/** Direct methods (iot-hub.md 6.8). Those of modules are one more route here. */
export function methodRoutes(hub: Hub): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/twins/:deviceId/methods',
      // The device may take all of both time-outs; the caller asked for them.
      exchangeSeconds: limits.methodConnectSeconds.most + limits.methodResponseSeconds.most + limits.httpExchangeSeconds,
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        return { status: 200, body: await hub.methods.invoke(name, request.params['deviceId'] ?? '', await requireJson(request)) };
      },
    },
  ];
}
