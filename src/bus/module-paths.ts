import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';

/** Which modules of a device have been seen; a device takes them along. */
export interface ModulePaths {
  /** Passes over devices. */
  note(hub: string, path: IdentityPath): void;
  of(hub: string, deviceId: string): readonly IdentityPath[];
  forget(hub: string, path: IdentityPath): void;
}

export function createModulePaths(): ModulePaths {
  const devices = new Map<string, Set<IdentityPath>>();
  // Hubs compare without case, devices with it.
  const keyOf = (hub: string, deviceId: string): string => JSON.stringify([hub.toLowerCase(), deviceId]);
  return {
    note(hub, path) {
      const { deviceId, moduleId } = idsOf(path);
      if (moduleId === undefined) return;
      const key = keyOf(hub, deviceId);
      devices.set(key, (devices.get(key) ?? new Set()).add(path));
    },
    // No device has modules as long as there are none.
    of: (hub, deviceId) => (devices.size === 0 ? [] : [...(devices.get(keyOf(hub, deviceId)) ?? [])]),
    forget(hub, path) {
      const { deviceId, moduleId } = idsOf(path);
      if (moduleId === undefined) return;
      const key = keyOf(hub, deviceId);
      const paths = devices.get(key);
      paths?.delete(path);
      if (paths?.size === 0) devices.delete(key);
    },
  };
}
