import type { Config } from '../config/config.ts';
import { createFleet } from '../fleet/fleet.ts';
import type { Fleet } from '../fleet/service.ts';
import type { Within } from '../fleet/what-if/stage.ts';
import { createHubAssignments } from '../hub/assignments.ts';
import { createHub } from '../hub/hub.ts';
import type { SessionBus } from '../hub/ports.ts';
import type { Hub } from '../hub/service.ts';
import { type Clock, seconds } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { createAllocationWebhooks } from '../outbound/allocation-webhooks.ts';
import { createRegions } from '../provisioning/allocation/regions.ts';
import { createProvisioning, type ProvisioningDependencies } from '../provisioning/provisioning.ts';
import type { Provisioning } from '../provisioning/service.ts';
import type { SqlStore } from '../stores/sql/store.ts';
import { createHubTrust } from './hub-trust.ts';

/** What the process gives to all that is in it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly pid: number;
}

export interface Domains {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly fleet: Fleet;
}

export interface DomainDependencies extends Surroundings {
  readonly store: Pick<SqlStore, 'read' | 'write'>;
  readonly bus: SessionBus;
  readonly config: Config;
  /** Called after the commit of each refusal. */
  readonly onRefusal: () => void;
  /** What several processes do together; absent where there is one. */
  readonly together?: Pick<ProvisioningDependencies, 'sharedRates'> & {
    readonly allocation: Pick<ProvisioningDependencies['allocation'], 'elsewhere' | 'onFullness'>;
  };
}

/** The two domains know each other only through ports; here is where they meet, and where the third is put over them. */
export function joinDomains({ store, bus, config, onRefusal, together, clock, ids, log }: DomainDependencies): Domains {
  const { timeoutSeconds, concurrentCalls } = config.allocationWebhooks;
  const hubAssignments = createHubAssignments({ clock, ids, bus, log });
  const within: Within = {
    provisioning: (transaction) => ({ ...transaction, hubs: hubAssignments(transaction) }),
    hubTrust: createHubTrust,
  };
  const anchors = createHubTrust(store.read);
  const endWithCertificate = config.endSessionsWithCertificate;
  const hub = createHub({ storage: store, bus, clock, ids, log, anchors, endWithCertificate, onRefusal });
  const provisioning = createProvisioning({
    storage: {
      read: store.read,
      write: (work, cause) => store.write((transaction) => work(within.provisioning(transaction)), cause),
    },
    clock,
    ids,
    log,
    requireVerifiedCa: config.requireVerifiedCa,
    allocation: {
      webhooks: createAllocationWebhooks({ clock, patience: seconds(timeoutSeconds) }),
      concurrentCalls,
      regions: createRegions(config.regions),
      ...together?.allocation,
    },
    quotas: config.quotas,
    ...(together?.sharedRates === undefined ? {} : { sharedRates: together.sharedRates }),
    pollAfterSeconds: config.pollAfterSeconds,
    onRefusal,
    retryHint: (...asked) => fleet.tripwires.retryHint(...asked),
  });
  const fleet: Fleet = createFleet({ storage: store, provisioning, within, hub, bus, clock, ids, log });
  return { provisioning, hub, fleet };
}
