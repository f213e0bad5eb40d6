import type { AllocationPolicy } from '../../contracts/dps/enrollment.ts';
import type { EnrollmentRow, LinkedHubRow } from '../ports.ts';
import type { Allocation, AllocationMethod } from './allocation.ts';
import { custom } from './custom.ts';
import { geoLatency } from './geo-latency.ts';
import { hashed } from './hashed.ts';
import { staticHub } from './static-hub.ts';

/** Every allocation policy. */
const allocations: readonly AllocationMethod[] = [hashed, geoLatency, staticHub, custom];

export interface AllocationInput {
  readonly entry: EnrollmentRow;
  readonly registrationId: string;
  readonly linkedHubs: readonly LinkedHubRow[];
  /** Of the instance, for enrollments that name none. */
  readonly defaultPolicy: AllocationPolicy;
}

/** Chooses the hub of a device by the policy of its enrollment, or else of the instance (chapter 3.5). */
export function allocate({ entry, registrationId, linkedHubs, defaultPolicy }: AllocationInput): Allocation {
  // The legacy field means static assignment to that host, whatever the policy says.
  const policy = entry.iotHubHostName === undefined ? (entry.allocationPolicy ?? defaultPolicy) : 'static';
  const method = allocations.find((candidate) => candidate.policy === policy);
  if (method === undefined) throw new Error(`no allocation method for policy ${policy}`);
  return method.allocate({ registrationId, candidates: candidateHubs(entry, { linkedHubs, policy }) });
}

function candidateHubs(
  { iotHubHostName, iotHubs }: EnrollmentRow,
  { linkedHubs, policy }: { readonly linkedHubs: readonly LinkedHubRow[]; readonly policy: AllocationPolicy },
): readonly LinkedHubRow[] {
  const named = iotHubHostName === undefined ? (iotHubs ?? []) : [iotHubHostName];
  const hostNames = named.map((hostName) => hostName.toLowerCase());
  // Named by the enrollment: a link that stays out of allocation does not matter then.
  if (hostNames.length > 0 || policy === 'static') return linkedHubs.filter((hub) => hostNames.includes(hub.hostName.toLowerCase()));
  return linkedHubs.filter((hub) => hub.applyAllocationPolicy);
}
