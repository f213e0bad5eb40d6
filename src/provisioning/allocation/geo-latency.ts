import type { LinkedHubRow } from '../ports.ts';
import type { Allocation, AllocationMethod, AllocationQuestion } from './allocation.ts';
import { hash } from './hashed.ts';

/**
 * The nearest hub, by the table of regions that the operator wrote down. Nothing is measured: what this service could
 * measure is its own distance from a device, and it is not the hub.
 */
export const geoLatency: AllocationMethod = {
  policy: 'geoLatency',
  allocate: (question) => {
    const { candidates, registrationId, regions, remoteAddress } = question;
    if (remoteAddress === undefined) {
      const choice = hashInstead(question, 'the address of the device is not known');
      return regions.isEmpty || candidates.length < 2 || !choice.ok ? choice : { ...choice, dependsOnAddress: true };
    }
    const region = regions.regionOf(remoteAddress);
    if (region === undefined) return hashInstead(question, 'the region of the device is not known');
    const nearest = findNearest(candidates, ({ location }) => regions.latency(region, location));
    if (nearest === undefined) return hashInstead(question, `no latency from ${region} to any of the hubs is known`);
    const { hubs, latency } = nearest;
    if (hubs.length > 1) {
      const choice = hash(registrationId, hubs);
      return { ...choice, note: `From ${region} ${hubs.length} hubs are equally near (${latency} ms). ${choice.note}` };
    }
    const [hub] = hubs;
    const note = `From ${region} the nearest hub is ${hub.hostName} in ${hub.location} (${latency} ms).`;
    return { ok: true, hubHostName: hub.hostName, note };
  },
};

function findNearest(
  candidates: readonly LinkedHubRow[],
  latencyOf: (hub: LinkedHubRow) => number | undefined,
): { readonly hubs: readonly [LinkedHubRow, ...LinkedHubRow[]]; readonly latency: number } | undefined {
  const known = candidates.flatMap((hub) => {
    const latency = latencyOf(hub);
    return latency === undefined ? [] : [{ hub, latency }];
  });
  const latency = Math.min(...known.map((candidate) => candidate.latency));
  const [first, ...others] = known.filter((candidate) => candidate.latency === latency).map(({ hub }) => hub);
  return first === undefined ? undefined : { hubs: [first, ...others], latency };
}

function hashInstead({ registrationId, candidates }: AllocationQuestion, why: string): Allocation {
  const choice = hash(registrationId, candidates);
  return { ...choice, note: `The policy is geoLatency, but ${why}, so it was hashed. ${choice.note}` };
}
