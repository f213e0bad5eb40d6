import { type CutDeps, type CutEnd, cutAfterCommit, cutCoveredAfterCommit } from './cut.ts';
import { requireTwin } from './lookup.ts';
import type { DeviceRow, HubTransaction, TwinRow } from './ports.ts';

/** An identity with its twin, as they were. */
export interface IdentitySnapshot {
  readonly device: DeviceRow;
  readonly twin: TwinRow;
  /** Absent in what was kept before there were modules. */
  readonly modules?: readonly { readonly device: DeviceRow; readonly twin: TwinRow }[];
}

/** What takes identities away and puts them back, within one transaction. Sessions end after its commit. */
export interface Revocations {
  remove(device: DeviceRow): Promise<{ readonly snapshot: IdentitySnapshot; readonly ended: CutEnd }>;
  disable(device: DeviceRow, reason: string): Promise<CutEnd>;
  /** Puts a removed identity back as it was; `false` when there is one of this id again. */
  restore(snapshot: IdentitySnapshot): Promise<boolean>;
  /** Gives a disabled identity the status back that it had; `false` when it is gone or was changed since. */
  enable(before: DeviceRow): Promise<boolean>;
  erase(device: Pick<DeviceRow, 'hub' | 'deviceId'>): Promise<number>;
  /** Ends the sessions that authenticated with what one of the keys names. */
  cutCovered(keys: readonly string[]): CutEnd;
}

export function createRevocations(deps: CutDeps, transaction: HubTransaction): Revocations {
  const { devices, twins, telemetry } = transaction;
  return {
    async remove(device) {
      const { hub, deviceId } = device;
      const twin = await requireTwin(transaction, hub, deviceId);
      const modules = [];
      for (const module of await devices.modulesOf(hub, deviceId)) {
        modules.push({ device: module, twin: await requireTwin(transaction, hub, module.deviceId) });
      }
      await devices.delete(hub, deviceId, device.etagCounter);
      return { snapshot: { device, twin, modules }, ended: cutAfterCommit(deps, transaction, { hub, deviceId, reason: 'device-deleted' }) };
    },
    async disable(device, reason) {
      const statusUpdatedAt = deps.clock.now();
      const disabled = {
        ...device,
        status: 'disabled',
        statusReason: reason,
        statusUpdatedAt,
        etagCounter: device.etagCounter + 1,
      } as const;
      await devices.replace(disabled, device.etagCounter);
      return cutAfterCommit(deps, transaction, { hub: device.hub, deviceId: device.deviceId, reason: 'device-disabled' });
    },
    async restore({ device, twin, modules = [] }) {
      if ((await devices.get(device.hub, device.deviceId)) !== undefined) return false;
      for (const identity of [{ device, twin }, ...modules]) {
        await devices.insert(identity.device);
        await twins.insert(identity.twin);
      }
      return true;
    },
    async enable(before) {
      const now = await devices.get(before.hub, before.deviceId);
      if (now?.generationId !== before.generationId || now.status !== 'disabled') return false;
      const { statusReason: _reason, statusUpdatedAt: _at, ...rest } = now;
      const { status, statusReason, statusUpdatedAt } = before;
      const restored = {
        ...rest,
        status,
        ...(statusReason === undefined ? {} : { statusReason }),
        ...(statusUpdatedAt === undefined ? {} : { statusUpdatedAt }),
        etagCounter: now.etagCounter + 1,
      };
      await devices.replace(restored, now.etagCounter);
      return true;
    },
    erase: ({ hub, deviceId }) => telemetry.erase(hub, deviceId),
    cutCovered: (keys) => cutCoveredAfterCommit(deps, transaction, { keys, reason: 'device-disabled' }),
  };
}
