import { bareHost } from '../contracts/host-name.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { cutAfterCommit, holdingKeys } from './cut.ts';
import { sameAuthentication } from './device-authentication.ts';
import { insertEdgeModules, withScopes } from './edge.ts';
import { createGenerations } from './generation.ts';
import { requireTwin } from './lookup.ts';
import { type Incarnation, insertIdentity, newDevice, newTwin, type TwinSeed } from './new-device.ts';
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
  /** As `assign`, and twin, capabilities and a ban come from the hub that the device leaves. */
  migrate(fromHubHostName: string, assignment: Assignment): Promise<void>;
  /** As `assign`, and only a ban comes along: the twin begins anew, also where the hub knows the device already. */
  reset(fromHubHostName: string, assignment: Assignment): Promise<void>;
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
      migrate: (fromHubHostName, assignment) => moveDevice(step, fromHubHostName, { assignment, keepsData: true }),
      reset: (fromHubHostName, assignment) => moveDevice(step, fromHubHostName, { assignment, keepsData: false }),
    };
  };
}

async function assignDevice(step: Step, assignment: Assignment): Promise<{ readonly created: boolean }> {
  const { hub, device } = await find(step, assignment.hubHostName, assignment.deviceId);
  if (device !== undefined) {
    await refresh(step, device, { authentication: assignment.credential, iotEdge: assignment.iotEdge, provisioned: true });
    return { created: false };
  }
  const { credential: authentication, deviceId, iotEdge } = assignment;
  const { transaction } = step;
  const wanted = { hub, deviceId, status: 'enabled', authentication, iotEdge, provisioned: true } as const;
  const created = await withScopes(transaction.devices, newDevice(wanted, step), {});
  await insertIdentity(transaction, created, assignment.initialTwin);
  await insertEdgeModules(step, transaction, created);
  return { created: true };
}

/** Overwrites what is different and nothing else: status and twin belong to the operator. */
async function refresh(step: Step, current: DeviceRow, change: Partial<DeviceRow>): Promise<void> {
  const device = { ...current, ...change, etagCounter: current.etagCounter + 1 };
  const sameCredential = sameAuthentication(current.authentication, device.authentication);
  const sameKind = current.iotEdge === device.iotEdge && current.provisioned === device.provisioned;
  if (sameCredential && sameKind && current.status === device.status) return;
  await step.transaction.devices.replace(device, current.etagCounter);
  const { hub, deviceId } = current;
  if (current.status !== device.status) cutAfterCommit(step, step.transaction, { hub, deviceId, reason: 'device-disabled' });
  else if (!sameCredential) {
    const except = await holdingKeys(step.transaction, device);
    cutAfterCommit(step, step.transaction, { hub, deviceId, reason: 'credential-changed', except });
  }
}

async function moveDevice(
  step: Step,
  fromHubHostName: string,
  { assignment, keepsData }: { readonly assignment: Assignment; readonly keepsData: boolean },
): Promise<void> {
  const { transaction } = step;
  const { deviceId } = assignment;
  const source = await find(step, fromHubHostName, deviceId);
  const iotEdge = keepsData ? (source.device?.iotEdge ?? assignment.iotEdge) : assignment.iotEdge;
  const { created } = await assignDevice(step, { ...assignment, iotEdge });
  const target = await find(step, assignment.hubHostName, deviceId);
  if (source.device === undefined || target.device === undefined || source.hub === target.hub) return;
  if (keepsData) await putTwin(step, target.device, await requireTwin(transaction, source.hub, deviceId));
  else if (!created) await putTwin(step, target.device, newTwin(target.device, assignment.initialTwin ?? {}, step.clock.now()));
  // Moving house does not lift a ban.
  if (source.device.status === 'disabled') await refresh(step, target.device, disabledLike(source.device));
  await transaction.devices.delete(source.hub, deviceId, source.device.etagCounter);
  cutAfterCommit(step, transaction, { hub: source.hub, deviceId, reason: 'device-deleted' });
}

function disabledLike({ status, statusReason, statusUpdatedAt }: DeviceRow): Partial<DeviceRow> {
  return {
    status,
    ...(statusReason === undefined ? {} : { statusReason }),
    ...(statusUpdatedAt === undefined ? {} : { statusUpdatedAt }),
  };
}

async function putTwin({ transaction }: Step, { hub, deviceId }: DeviceRow, twin: TwinRow): Promise<void> {
  const replaced = await requireTwin(transaction, hub, deviceId);
  await transaction.twins.replace(movedTwin(twin, replaced), replaced.version);
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
