import type { Clock } from '../kernel/clock.ts';
import { requireGranted } from './granted.ts';
import type { HubStorage, SubscriptionMap } from './ports.ts';
import type { KeptSubscriptions } from './service.ts';

/** Subscriptions that outlive their connection (chapter 3.1). Writes only what changed: SDKs subscribe anew each time. */
export function createKeptSubscriptions({ storage, clock }: { readonly storage: HubStorage; readonly clock: Clock }): KeptSubscriptions {
  const load: KeptSubscriptions['load'] = async (grant) => {
    await requireGranted(storage.read, grant, clock.now());
    return storage.read.subscriptions.get(grant.hub, grant.deviceId);
  };
  return {
    load,
    async keep(grant, subscriptions) {
      const kept = await load(grant);
      if (areEqual(kept ?? new Map(), subscriptions)) return;
      // A copy: the caller's may change while this waits.
      const wanted = new Map(subscriptions);
      await storage.write(async (transaction) => {
        await requireGranted(transaction, grant, clock.now());
        if (wanted.size === 0) await transaction.subscriptions.delete(grant.hub, grant.deviceId);
        else await transaction.subscriptions.put(grant.hub, grant.deviceId, wanted);
      });
    },
  };
}

function areEqual(a: SubscriptionMap, b: SubscriptionMap): boolean {
  return a.size === b.size && [...a].every(([filter, qos]) => b.get(filter) === qos);
}
