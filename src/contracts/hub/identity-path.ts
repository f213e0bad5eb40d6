import { deviceIdPattern } from './device-body.ts';

/**
 * Names a device, or a module of one as `{deviceId}/{moduleId}`: the way clients call themselves on MQTT and in the common name
 * of a certificate. No id has a slash, so one text names one identity.
 */
export type IdentityPath = string;

export interface IdentityIds {
  readonly deviceId: string;
  readonly moduleId?: string;
}

export function identityPath({ deviceId, moduleId }: IdentityIds): IdentityPath {
  return moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`;
}

/** What is behind the first slash names the module. */
export function idsOf(path: IdentityPath): IdentityIds {
  const slash = path.indexOf('/');
  return slash < 0 ? { deviceId: path } : { deviceId: path.slice(0, slash), moduleId: path.slice(slash + 1) };
}

/** Whether an identity can have this path: one or two ids of 1 to 128 characters each. */
export function isIdentityPath(path: string): boolean {
  const { deviceId, moduleId } = idsOf(path);
  return deviceIdPattern.test(deviceId) && (moduleId === undefined || deviceIdPattern.test(moduleId));
}

/** The path below `devices/` in topics, addresses and the resource of tokens: `{deviceId}` or `{deviceId}/modules/{moduleId}`. */
export function resourceOf(path: IdentityPath): string {
  const { deviceId, moduleId } = idsOf(path);
  return moduleId === undefined ? deviceId : `${deviceId}/modules/${moduleId}`;
}
