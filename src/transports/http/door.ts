import { limits } from '../../contracts/limits.ts';
import type { Hub } from '../../hub/service.ts';
import type { ByteBudget } from '../../kernel/byte-budget.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Ids } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { Provisioning } from '../../provisioning/service.ts';
import type { Door } from '../connection.ts';
import { createDpsDeviceRoutes } from './dps/device-routes.ts';
import { HttpEngine } from './engine/http-engine.ts';
import type { HttpEngineLimits } from './engine/route.ts';
import type { WebSocketTakers } from './engine/web-sockets.ts';
import { createHubRoutes } from './hub/hub-routes.ts';
import { createMusterRoutes, type MusterApiDeps } from './muster/api-routes.ts';
import { createDpsServiceRoutes } from './service/service-routes.ts';

interface DoorDeps {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  /** What the connections of all doors buffer together. */
  readonly budget?: ByteBudget;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

const engineLimits: HttpEngineLimits = {
  connections: limits.connectionsPerListener,
  headBytes: limits.unauthenticatedBytes,
  connectSeconds: limits.connectSeconds,
  keepAliveSeconds: limits.httpKeepAliveSeconds,
  exchangeSeconds: limits.httpExchangeSeconds,
  pipelined: limits.httpPipelined,
  webSocketMessageBytes: limits.webSocketMessageBytes,
  closeGraceSeconds: limits.httpCloseGraceSeconds,
  heartbeatSeconds: limits.httpHeartbeatSeconds,
};

/**
 * Port 443: device and service API of provisioning, the hub, and WebSockets. They share a host name and are told apart
 * by path, an upgrade by its sub-protocol (clients.md 1).
 */
export async function createHttpDoor(deps: DoorDeps & { readonly webSockets: WebSocketTakers }): Promise<Door<'https'>> {
  const { provisioning, hub, budget, clock, ids, log, webSockets } = deps;
  return HttpEngine.open({
    groups: [createDpsDeviceRoutes(provisioning), createDpsServiceRoutes(provisioning), createHubRoutes(hub)],
    webSockets,
    ...(budget === undefined ? {} : { budget }),
    clock,
    ids,
    log,
    limits: engineLimits,
  });
}

/** Port 8443: Muster's own API, and nothing that a device would talk to. */
export async function createApiDoor(deps: DoorDeps & MusterApiDeps): Promise<Door<'https'>> {
  const { clock, ids, log } = deps;
  return HttpEngine.open({ groups: [createMusterRoutes(deps)], clock, ids, log, limits: engineLimits });
}
