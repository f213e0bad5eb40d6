import { createHash } from 'node:crypto';

import type { LinkedHubRow } from '../ports.ts';
import type { Allocation, AllocationMethod } from './allocation.ts';
import { noHub } from './no-hub.ts';

/**
 * Weighted rendezvous hashing: every device ranks the hubs by a hash of both, so the choice is the same every time,
 * hubs get devices in proportion to their weights, and a hub that comes or goes moves only the devices it gains or loses.
 */
export const hashed: AllocationMethod = {
  policy: 'hashed',
  allocate: ({ registrationId, candidates }) => hash(registrationId, candidates),
};

/** Also how the other policies break a tie. */
export function hash(registrationId: string, candidates: readonly LinkedHubRow[]): Allocation {
  const ranked = candidates.map((hub) => ({ hub, score: score(registrationId, hub) })).toSorted((a, b) => b.score - a.score);
  const [best] = ranked;
  if (best === undefined) return noHub('No linked hub takes part in allocation. Link one, or let one apply the allocation policy.');
  const { hostName } = best.hub;
  return { ok: true, hubHostName: hostName, note: `Hashing chose ${hostName} among ${candidates.length} by weight.` };
}

const mantissa = 2 ** 53;

// -weight / ln(u) for u evenly between 0 and 1: the highest of these falls on each hub in proportion to its weight.
function score(registrationId: string, hub: LinkedHubRow): number {
  const digest = createHash('sha256').update(`${registrationId.toLowerCase()}\n${hub.hostName.toLowerCase()}`).digest();
  const u = (Number(digest.readBigUInt64BE() >> 11n) + 0.5) / mantissa;
  return -hub.allocationWeight / Math.log(u);
}
