import { bareHost } from '../contracts/host-name.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { cutAfterCommit } from './cut.ts';
import { sameAuthentication } from './device-authentication.ts';
import { createGenerations } from './generation.ts';
import { requireTwin } from './lookup.ts';
import { type Incarnation, newDevice, newTwin, type TwinSeed } from './new-device.ts';
import type { DeviceRow, HubTransaction, SessionBus, TwinRow, TwinSection } from './ports.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** A device that provisioning assigns to a hub. Shaped as provisioning asks; the two meet in `compose.ts`. */
export interface Assignment {
  readonly hubHostName: string;
  readonly deviceId: string;
  readonly credential:
    | { readonly type: 'selfSigned'; readonly primaryThumbprint: string }
    | { readonly type: 'sas'; readonly primaryKey: string; readonly secondaryKey: string };
  readonly iotEdge: boolean;
  readonly initialTwin?: TwinSeed;
}

/** What provisioning asks of the hubs, within the transaction that writes its own record. */
export interface Assignments {
  /** Creates the identity with its twin, or refreshes the credential of the one that is there. */
  assign(assignment: Assignment): Promise<{ readonly created: boolean }>;
  has(hubHostName: string, deviceId: string): Promise<boolean>;
  /** Removes the identity if the hub has it. */
  remove(hubHostName: string, deviceId: string): Promise<void>;
  /** As `assign`, and the twin and the status come from the hub that the device leaves. */
  migrate(fromHubHostName: string, assignment: Assignment): Promise<void>;
}

interface AssignmentDeps extends Incarnation {
  readonly bus: SessionBus;
  readonly log: Logger;
}

/** Everything that one step needs. */
interface Step extends AssignmentDeps {
  readonly transaction: HubTransaction;
}

/** Binds the hub's side of provisioning to the transaction of a registration. Every method throws `IotHubNotFound` for a host that is no hub. */
export function createHubAssignments(deps: {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly bus: SessionBus;
  readonly log: Logger;
}): (transaction: HubTransaction) => Assignments {
  const nextGeneration = createGenerations(deps);
  return (transaction) => {
    const step = { ...deps, nextGeneration, transaction };
    return {
      assign: (assignment) => assignDevice(step, assignment),
      has: async (hubHostName, deviceId) => (await find(step, hubHostName, deviceId)).device !== undefined,
      remove: (hubHostName, deviceId) => removeDevice(step, hubHostName, deviceId),
      migrate: (fromHubHostName, assignment) => migrateDevice(step, fromHubHostName, assignment),
    };
  };
}

async function assignDevice(step: Step, assignment: Assignment): Promise<{ readonly created: boolean }> {
  const { hub, device } = await find(step, assignment.hubHostName, assignment.deviceId);
  if (device !== undefined) {
    await refresh(step, device, { authentication: assignment.credential, iotEdge: assignment.iotEdge });
    return { created: false };
  }
  const created = newDevice(
    { hub, deviceId: assignment.deviceId, status: 'enabled', authentication: assignment.credential, iotEdge: assignment.iotEdge },
    step,
  );
  await step.transaction.devices.insert(created);
  await step.transaction.twins.insert(newTwin(created, assignment.initialTwin ?? {}, created.createdAt));
  return { created: true };
}

/** Overwrites what is different and nothing else: status and twin belong to the operator. */
async function refresh(step: Step, current: DeviceRow, change: Partial<DeviceRow>): Promise<void> {
  const device = { ...current, ...change, etagCounter: current.etagCounter + 1 };
  const sameCredential = sameAuthentication(current.authentication, device.authentication);
  if (sameCredential && current.iotEdge === device.iotEdge && current.status === device.status) return;
  await step.transaction.devices.replace(device, current.etagCounter);
  if (!sameCredential) cutAfterCommit(step, step.transaction, { ...current, reason: 'credential-changed' });
  else if (current.status !== device.status) cutAfterCommit(step, step.transaction, { ...current, reason: 'device-disabled' });
}

async function removeDevice(step: Step, hubHostName: string, deviceId: string): Promise<void> {
  const { hub, device } = await find(step, hubHostName, deviceId);
  if (device === undefined) return;
  await step.transaction.devices.delete(hub, deviceId, device.etagCounter);
  cutAfterCommit(step, step.transaction, { hub, deviceId, reason: 'device-deleted' });
}

async function migrateDevice(step: Step, fromHubHostName: string, assignment: Assignment): Promise<void> {
  const { transaction } = step;
  const source = await find(step, fromHubHostName, assignment.deviceId);
  await assignDevice(step, assignment);
  const target = await find(step, assignment.hubHostName, assignment.deviceId);
  if (source.device === undefined || target.device === undefined || source.hub === target.hub) return;
  const moved = await requireTwin(transaction, source.hub, assignment.deviceId);
  const replaced = await requireTwin(transaction, target.hub, assignment.deviceId);
  await transaction.twins.replace(movedTwin(moved, replaced), replaced.version);
  // Moving house does not lift a ban.
  if (source.device.status === 'disabled') await refresh(step, target.device, disabledLike(source.device));
  await removeDevice(step, fromHubHostName, assignment.deviceId);
}

function disabledLike({ status, statusReason, statusUpdatedAt }: DeviceRow): Partial<DeviceRow> {
  return {
    status,
    ...(statusReason === undefined ? {} : { statusReason }),
    ...(statusUpdatedAt === undefined ? {} : { statusUpdatedAt }),
  };
}

/** The twin that came along, with versions above those of either hub: nobody who compares takes it for the old one. */
function movedTwin(moved: TwinRow, replaced: TwinRow): TwinRow {
  return {
    ...moved,
    hub: replaced.hub,
    etagCounter: Math.max(moved.etagCounter, replaced.etagCounter) + 1,
    version: Math.max(moved.version, replaced.version) + 1,
    desired: movedSection(moved.desired, replaced.desired),
    reported: movedSection(moved.reported, replaced.reported),
  };
}

function movedSection(moved: TwinSection, replaced: TwinSection): TwinSection {
  return { ...moved, version: Math.max(moved.version, replaced.version) };
}

async function find(
  { transaction }: Step,
  hubHostName: string,
  deviceId: string,
): Promise<{ readonly hub: string; readonly device: DeviceRow | undefined }> {
  const wanted = bareHost(hubHostName);
  const hub = (await transaction.hubs.list()).find(({ hostName }) => bareHost(hostName) === wanted);
  if (hub === undefined) throw new ServiceError('IotHubNotFound', `There is no IoT hub with the host name ${hubHostName} here.`);
  return { hub: hub.name, device: await transaction.devices.get(hub.name, deviceId) };
}
