import type { Hub } from '../../../hub/service.ts';
import type { RouteGroup } from '../engine/route.ts';
import { renderHubError } from '../errors.ts';
import { deviceRoutes } from './device-routes.ts';
import { deviceboundRoutes } from './devicebound-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { messagingRoutes } from './messaging-routes.ts';
import { methodRoutes } from './method-routes.ts';
import { moduleRoutes } from './module-routes.ts';
import { registryRoutes } from './registry-routes.ts';
import { twinRoutes } from './twin-routes.ts';

/** The hub's device and service plane over HTTPS (iot-hub.md 5, 6). */
export function createHubRoutes(hub: Hub): RouteGroup {
  return {
    owns: (path) => /^\/(?:devices|twins|statistics|messages)(?:\/|$)/iu.test(path),
    renderError: renderHubError,
    routes: [
      ...deviceRoutes(hub),
      ...deviceboundRoutes(hub),
      ...registryRoutes(hub),
      ...moduleRoutes(hub),
      ...keyRoutes(hub),
      ...twinRoutes(hub),
      ...messagingRoutes(hub),
      ...methodRoutes(hub),
    ],
  };
}
