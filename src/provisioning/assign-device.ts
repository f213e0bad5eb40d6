import type { RegistrationSubstatus } from '../contracts/dps/enrollment.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Allocation } from './allocation/allocation.ts';
import { allocate } from './allocation/allocations.ts';
import type {
  DeviceAssignment,
  EnrollmentRow,
  HubAssignments,
  LinkedHubRow,
  ProvisioningInstance,
  ProvisioningTransaction,
  RegistrationRow,
} from './ports.ts';

export interface AdmittedDevice {
  readonly instance: ProvisioningInstance;
  readonly entry: EnrollmentRow;
  readonly registrationId: string;
  /** Upper-case hex of the leaf that was used. */
  readonly leafSha256: string;
  readonly previous: RegistrationRow | undefined;
}

/** What became of an admitted device; `note` is a sentence for the trace. */
export type Assignment =
  | {
      readonly ok: true;
      readonly hubHostName: string;
      readonly deviceId: string;
      readonly substatus: RegistrationSubstatus;
      readonly note: string;
    }
  | Extract<Allocation, { ok: false }>;

/** The chosen hub cannot take the device: thrown, so that the transaction undoes whatever was done on another hub. */
export class HubRefusal extends Error {
  override readonly name = 'HubRefusal';
  readonly refusal: ServiceError;

  constructor(refusal: ServiceError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** How the registration ends then: 400209, with the hub's own words as Azure embeds them (3.2). */
export function hubRefused({ refusal }: HubRefusal): Assignment {
  const note = `The hub refused to take the device: ${refusal.message}`;
  return { ok: false, errorCode: 400209, errorMessage: `ErrorCode:${refusal.error};${refusal.message}`, note };
}

/**
 * Chooses the hub of an admitted device and gives it its identity there, within the transaction of its registration. Throws
 * `HubRefusal`.
 */
export async function assignDevice(
  { instances, hubs }: Pick<ProvisioningTransaction, 'instances' | 'hubs'>,
  device: AdmittedDevice,
): Promise<Assignment> {
  const { instance, entry, leafSha256 } = device;
  const linkedHubs = await instances.linkedHubs(instance.name);
  const home = currentHome(device);
  const allocation = chooseHub(device, { linkedHubs, home });
  if (!allocation.ok) return allocation;
  const assignment: DeviceAssignment = {
    hubHostName: allocation.hubHostName,
    deviceId: home?.deviceId ?? newDeviceId(device),
    credential: { type: 'selfSigned', primaryThumbprint: leafSha256 },
    iotEdge: entry.capabilities.iotEdge,
    ...(entry.initialTwin === undefined ? {} : { initialTwin: entry.initialTwin }),
  };
  const substatus = await settle(hubs, assignment, { home, migrate: entry.reprovisionPolicy.migrateDeviceData }).catch(asHubRefusal);
  return { ok: true, hubHostName: assignment.hubHostName, deviceId: assignment.deviceId, substatus, note: allocation.note };
}

/** Where the device was assigned last, and under which id. */
interface Home {
  readonly hubHostName: string;
  readonly deviceId: string;
}

/**
 * A device keeps its id while its record lives, though the enrollment's `deviceId` changes (3.3). Devices of groups
 * always have their registration id, so what an individual enrollment had called them does not follow them there.
 */
function currentHome({ entry, registrationId, previous }: AdmittedDevice): Home | undefined {
  if (previous?.assignedHub === undefined || previous.deviceId === undefined) return undefined;
  const sameId = previous.deviceId.toLowerCase() === registrationId.toLowerCase();
  const sameEntry = previous.enrollmentKind === entry.kind && previous.enrollmentId.toLowerCase() === entry.id.toLowerCase();
  const keepsId =
    entry.kind === 'group' ? sameId : sameEntry || (sameId && entry.deviceId === undefined) || previous.deviceId === entry.deviceId;
  return keepsId ? { hubHostName: previous.assignedHub, deviceId: previous.deviceId } : undefined;
}

// Registration ids ignore case and device ids do not, so the spelling that came first stays.
function newDeviceId({ entry, registrationId, previous }: AdmittedDevice): string {
  return (entry.kind === 'individual' ? entry.deviceId : undefined) ?? previous?.registrationId ?? registrationId;
}

function chooseHub(
  { instance, entry, registrationId }: AdmittedDevice,
  { linkedHubs, home }: { readonly linkedHubs: readonly LinkedHubRow[]; readonly home: Home | undefined },
): Allocation {
  const linked = linkedHubs.find((hub) => isSameHost(hub.hostName, home?.hubHostName));
  if (!entry.reprovisionPolicy.updateHubAssignment && linked !== undefined) {
    return { ok: true, hubHostName: linked.hostName, note: `The reprovisioning policy keeps the device on ${linked.hostName}.` };
  }
  return allocate({ entry, registrationId, linkedHubs, defaultPolicy: instance.allocationPolicy });
}

/** Chapter 3.4: what happens to identity and twin, and how the record calls it. */
async function settle(
  hubs: HubAssignments,
  assignment: DeviceAssignment,
  { home, migrate }: { readonly home: Home | undefined; readonly migrate: boolean },
): Promise<RegistrationSubstatus> {
  if (home === undefined || isSameHost(assignment.hubHostName, home.hubHostName)) {
    await hubs.assign(assignment);
    return 'initialAssignment';
  }
  const isThere = await isAt(hubs, home);
  if (isThere && migrate) {
    await hubs.migrate(home.hubHostName, assignment);
    return 'deviceDataMigrated';
  }
  if (isThere) await hubs.remove(home.hubHostName, home.deviceId);
  await hubs.assign(assignment);
  return 'deviceDataReset';
}

/** A hub that was taken away has nothing to move. */
async function isAt(hubs: HubAssignments, home: Home): Promise<boolean> {
  try {
    return await hubs.has(home.hubHostName, home.deviceId);
  } catch (error) {
    if (error instanceof ServiceError && error.error === 'IotHubNotFound') return false;
    throw error;
  }
}

function asHubRefusal(error: unknown): never {
  // A hub that is busy may take it later: the device is told so by the error's own status, and comes again.
  throw error instanceof ServiceError && !error.row.retryable ? new HubRefusal(error) : error;
}

function isSameHost(a: string, b: string | undefined): boolean {
  return a.toLowerCase() === b?.toLowerCase();
}
