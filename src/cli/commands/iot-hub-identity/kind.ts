import { type Option, required, text } from '../../grammar/option.ts';
import { deviceIdOption, devicePath, twinPath } from '../hub-options.ts';

/** What tells devices from modules in commands that are otherwise the same. */
export interface IdentityKind {
  readonly noun: 'device' | 'module';
  /** `iot hub device-identity` */
  readonly group: string;
  /** `iot hub device-twin` */
  readonly twinGroup: string;
  readonly options: { readonly deviceId: Option<string>; readonly moduleId?: Option<string> };
  /** The target in an example. */
  readonly example: string;
}

/** The ids that the options of a kind read. */
export interface IdentityTarget {
  readonly deviceId: string;
  readonly moduleId?: string;
}

export const devices: IdentityKind = {
  noun: 'device',
  group: 'iot hub device-identity',
  twinGroup: 'iot hub device-twin',
  options: { deviceId: deviceIdOption },
  example: '-d sensor-thl-002',
};

export const moduleIdOption = required(text(['--module-id', '-m'], 'Target module ID.'));

export const modules: IdentityKind = {
  noun: 'module',
  group: 'iot hub module-identity',
  twinGroup: 'iot hub module-twin',
  options: { deviceId: deviceIdOption, moduleId: moduleIdOption },
  example: '-d sensor-thl-002 -m filter',
};

const below = (path: string, { moduleId }: IdentityTarget): string =>
  moduleId === undefined ? path : `${path}/modules/${encodeURIComponent(moduleId)}`;

export const identityPathOf = (target: IdentityTarget): string => below(devicePath(target.deviceId), target);
export const twinPathOf = (target: IdentityTarget): string => below(twinPath(target.deviceId), target);
