import { type Cause, systemCause } from '../audit/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { createAuthorize } from './authorize.ts';
import { createDevicePlane } from './device-plane.ts';
import { explainedMessages, explainedSubscriptions } from './explained.ts';
import { createGenerations } from './generation.ts';
import { createHubs } from './hubs.ts';
import { createIdentities } from './identities.ts';
import { judgeDevice } from './judge.ts';
import { createCloudToDevice } from './messaging/cloud-to-device.ts';
import { createDeviceMessages } from './messaging/device-messages.ts';
import { createFeedback } from './messaging/feedback.ts';
import { createMethods } from './methods/methods.ts';
import { createKeptSubscriptions } from './kept-subscriptions.ts';
import { createModules } from './modules.ts';
import { createMonitor } from './monitor.ts';
import { createOpenServiceSession } from './open-service-session.ts';
import type { HubStorage, HubTrust, SessionBus } from './ports.ts';
import { createKeyRenewal } from './renew-keys.ts';
import { createPresenceLog } from './presence-log.ts';
import { createRefusalLog } from './refusal-log.ts';
import type { Hub, HubAdministration } from './service.ts';
import { createTwins } from './twins.ts';

/** Domain 2 over a store and a bus. */
export function createHub(deps: {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly anchors: HubTrust;
  /** Whether sessions by certificate end with it. */
  readonly endWithCertificate?: boolean;
  /** Called after the commit of each refusal. */
  readonly onRefusal?: () => void;
}): Hub {
  const refusals = createRefusalLog(deps);
  const presence = createPresenceLog(deps);
  const nextGeneration = createGenerations(deps);
  /** What operators do, on behalf of one of them. Keeps nothing, so that each request can have its own. */
  const administrationFor = (cause: Cause): HubAdministration => {
    const storage: HubStorage = { read: deps.storage.read, write: (work) => deps.storage.write(work, cause) };
    const own = { ...deps, storage };
    return {
      hubs: createHubs(own),
      registry: createIdentities({ ...own, nextGeneration }),
      modules: createModules({ ...own, nextGeneration }),
      renewKeys: createKeyRenewal(own),
      twins: createTwins(own),
      cloudToDevice: createCloudToDevice(own),
    };
  };
  return {
    ...administrationFor(systemCause),
    as: administrationFor,
    devicePlane: createDevicePlane({ ...deps, trust: deps.anchors, refusals }),
    deviceMessages: explainedMessages(refusals, createDeviceMessages(deps)),
    feedback: createFeedback(deps),
    methods: createMethods(deps),
    subscriptions: explainedSubscriptions(refusals, createKeptSubscriptions(deps)),
    monitor: createMonitor(deps),
    judge: (inquiry, read = deps.storage.read) => judgeDevice({ ...deps, storage: { read }, trust: deps.anchors }, inquiry),
    async start(role = 'alone') {
      await Promise.all([refusals.start(), presence.start(role)]);
    },
    async close() {
      await Promise.all([refusals.close(), presence.close()]);
    },
    authorize: createAuthorize(deps),
    openServiceSession: createOpenServiceSession(deps),
  };
}
