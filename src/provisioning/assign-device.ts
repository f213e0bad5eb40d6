import { isSince, returnsSince } from '../contracts/api-version.ts';
import type { RegistrationSubstatus } from '../contracts/dps/enrollment.ts';
import type { JsonObject } from '../kernel/json.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Allocation, AllocationCall } from './allocation/allocation.ts';
import { allocate } from './allocation/allocations.ts';
import type { Regions } from './allocation/regions.ts';
import type { WebhookConversation } from './allocation/webhook.ts';
import type {
  DeviceAssignment,
  EnrollmentRow,
  HubAssignments,
  ProvisioningInstance,
  ProvisioningTransaction,
  RegistrationRow,
} from './ports.ts';

export interface AdmittedDevice {
  readonly instance: ProvisioningInstance;
  readonly entry: EnrollmentRow;
  readonly registrationId: string;
  /** What the hub will know it by. */
  readonly credential: DeviceAssignment['credential'];
  readonly previous: RegistrationRow | undefined;
  /** Where it called from, and in which version of the device API; no address when what it would get is only asked about. */
  readonly remoteAddress: string | undefined;
  readonly apiVersion?: string;
  /** What a webhook said about it, once it was asked. */
  readonly conversation?: WebhookConversation;
}

/** What became of an admitted device; `note` is a sentence for the trace. */
export type Assignment =
  | {
      readonly ok: true;
      readonly hubHostName: string;
      readonly deviceId: string;
      readonly substatus: RegistrationSubstatus;
      readonly note: string;
      /** From the webhook, for the device. */
      readonly payload?: JsonObject;
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

/** Which hub an admitted device goes to, or whom to ask about it. Reads only. */
export async function planAllocation(
  { instances }: Pick<ProvisioningTransaction, 'instances'>,
  device: AdmittedDevice,
  regions: Regions,
): Promise<Allocation | AllocationCall> {
  const { instance, entry, registrationId, remoteAddress, conversation } = device;
  const linkedHubs = await instances.linkedHubs(instance.name);
  const home = currentHome(device);
  const linked = linkedHubs.find((hub) => isSameHost(hub.hostName, home?.hubHostName));
  const stays = !entry.reprovisionPolicy.updateHubAssignment && linked !== undefined;
  return allocate({
    entry,
    registrationId,
    linkedHubs,
    defaultPolicy: instance.allocationPolicy,
    remoteAddress,
    regions,
    ...(stays ? { stay: linked } : {}),
    ...(conversation === undefined ? {} : { conversation }),
  });
}

/** Gives a device its identity at the hub that was chosen, within the transaction of its registration. Throws `HubRefusal`. */
export async function assignDevice(hubs: HubAssignments, device: AdmittedDevice, allocation: Allocation): Promise<Assignment> {
  if (!allocation.ok) return allocation;
  const { entry, credential } = device;
  const { hubHostName, note, payload } = allocation;
  const home = currentHome(device);
  const initialTwin = allocation.initialTwin ?? entry.initialTwin;
  const assignment: DeviceAssignment = {
    hubHostName,
    deviceId: deviceIdFor(device),
    credential,
    iotEdge: entry.capabilities.iotEdge,
    ...(initialTwin === undefined ? {} : { initialTwin }),
  };
  const substatus = await settle(hubs, assignment, { device, home }).catch(asHubRefusal);
  return {
    ok: true,
    hubHostName,
    deviceId: assignment.deviceId,
    substatus,
    note,
    ...(payload === undefined ? {} : { payload }),
  };
}

/** Where the device was assigned last, and under which id. */
export interface Home {
  readonly hubHostName: string;
  readonly deviceId: string;
}

/**
 * A device keeps its id while its record lives, though the enrollment's `deviceId` changes (3.3). Devices of groups
 * always have their registration id, so what an individual enrollment had called them does not follow them there.
 */
export function currentHome({
  entry,
  registrationId,
  previous,
}: Pick<AdmittedDevice, 'entry' | 'registrationId' | 'previous'>): Home | undefined {
  if (previous?.assignedHub === undefined || previous.deviceId === undefined) return undefined;
  const sameId = previous.deviceId.toLowerCase() === registrationId.toLowerCase();
  const sameEntry = previous.enrollmentKind === entry.kind && previous.enrollmentId.toLowerCase() === entry.id.toLowerCase();
  const keepsId =
    entry.kind === 'group' ? sameId : sameEntry || (sameId && entry.deviceId === undefined) || previous.deviceId === entry.deviceId;
  return keepsId ? { hubHostName: previous.assignedHub, deviceId: previous.deviceId } : undefined;
}

/** What an admitted device is, or would be, called at its hub. */
export function deviceIdFor(device: AdmittedDevice): string {
  return currentHome(device)?.deviceId ?? newDeviceId(device);
}

// Registration ids ignore case and device ids do not, so the spelling that came first stays.
function newDeviceId({ entry, registrationId, previous }: AdmittedDevice): string {
  return (entry.kind === 'individual' ? entry.deviceId : undefined) ?? previous?.registrationId ?? registrationId;
}

/** Chapter 3.4: what happens to identity and twin, and how the record calls it. */
async function settle(
  hubs: HubAssignments,
  assignment: DeviceAssignment,
  { device, home }: { readonly device: AdmittedDevice; readonly home: Home | undefined },
): Promise<RegistrationSubstatus> {
  if (home === undefined || isSameHost(assignment.hubHostName, home.hubHostName)) {
    await hubs.assign(assignment);
    return home === undefined ? 'initialAssignment' : substatusOfReturn(device);
  }
  if (!(await isAt(hubs, home))) {
    await hubs.assign(assignment);
    return 'deviceDataReset';
  }
  if (device.entry.reprovisionPolicy.migrateDeviceData) {
    await hubs.migrate(home.hubHostName, assignment);
    return 'deviceDataMigrated';
  }
  await hubs.reset(home.hubHostName, assignment);
  return 'deviceDataReset';
}

/**
 * A device that stays where its policy keeps it has what it had. One that was assigned there anew is told so in the
 * versions that know the word (chapter 3.4); SDKs of older ones know four others.
 */
function substatusOfReturn({ entry, previous, apiVersion }: AdmittedDevice): RegistrationSubstatus {
  if (!entry.reprovisionPolicy.updateHubAssignment) return previous?.substatus ?? 'initialAssignment';
  return apiVersion !== undefined && isSince(apiVersion, returnsSince) ? 'reprovisionedToInitialAssignment' : 'initialAssignment';
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
