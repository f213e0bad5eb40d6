import type { AllocationPolicy } from '../../contracts/dps/enrollment.ts';
import type { EnrollmentRow, LinkedHubRow } from '../ports.ts';
import type { Allocation, AllocationCall, AllocationMethod, AllocationQuestion } from './allocation.ts';
import { custom } from './custom.ts';
import { geoLatency } from './geo-latency.ts';
import { hashed } from './hashed.ts';
import { staticHub } from './static-hub.ts';

/** Every allocation policy. */
const allocations: readonly AllocationMethod[] = [hashed, geoLatency, staticHub, custom];

export interface AllocationInput extends Omit<AllocationQuestion, 'candidates'> {
  readonly linkedHubs: readonly LinkedHubRow[];
  /** Of the instance, for enrollments that name none. */
  readonly defaultPolicy: AllocationPolicy;
  /** The hub that the device stays on, whatever the policy would choose. */
  readonly stay?: LinkedHubRow;
}

/**
 * Chooses the hub of a device by the policy of its enrollment, or else of the instance (chapter 3.5). A device that stays
 * where it is needs no policy; only a webhook is asked all the same, with this one hub to choose, for the payload that it
 * may have for the device (chapter 3.6).
 */
export function allocate({ linkedHubs, defaultPolicy, stay, ...question }: AllocationInput): Allocation | AllocationCall {
  const { entry } = question;
  // The legacy field means static assignment to that host, whatever the policy says.
  const policy = entry.iotHubHostName === undefined ? (entry.allocationPolicy ?? defaultPolicy) : 'static';
  if (stay !== undefined && policy !== 'custom') {
    return { ok: true, hubHostName: stay.hostName, note: `The reprovisioning policy keeps the device on ${stay.hostName}.` };
  }
  const method = allocations.find((candidate) => candidate.policy === policy);
  if (method === undefined) throw new Error(`no allocation method for policy ${policy}`);
  const candidates = stay === undefined ? candidateHubs(entry, { linkedHubs, policy }) : [stay];
  return method.allocate({ ...question, candidates });
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
