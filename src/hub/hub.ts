import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { createAuthorize } from './authorize.ts';
import { createDevicePlane } from './device-plane.ts';
import { createGenerations } from './generation.ts';
import { createHubs } from './hubs.ts';
import { createIdentities } from './identities.ts';
import { createMonitor } from './monitor.ts';
import type { HubStorage, HubTrust, SessionBus } from './ports.ts';
import type { Hub } from './service.ts';
import { createTwins } from './twins.ts';

/** Domain 2 over a store and a bus. */
export function createHub(deps: {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly anchors: HubTrust;
}): Hub {
  return {
    hubs: createHubs(deps),
    devicePlane: createDevicePlane({ ...deps, trust: deps.anchors }),
    registry: createIdentities({ ...deps, nextGeneration: createGenerations(deps) }),
    twins: createTwins(deps),
    monitor: createMonitor(deps),
    authorize: createAuthorize(deps),
  };
}
