import { limits } from '../contracts/limits.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import { firstEtagCounter } from './etag.ts';
import type { DeviceRow, HubTransaction, TwinRow } from './ports.ts';
import { checkSectionSize, checkSectionValues } from './twin-limits.ts';
import { emptySection, writeSection } from './twin-merge.ts';
import { withoutReserved } from './twin-body.ts';

/** What makes an incarnation of an identity. */
export interface Incarnation {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly nextGeneration: () => string;
}

/** Fields of a new identity that are chosen by whoever creates it. */
export type NewDevice = Pick<
  DeviceRow,
  | 'hub'
  | 'deviceId'
  | 'status'
  | 'statusReason'
  | 'authentication'
  | 'iotEdge'
  | 'managedBy'
  | 'deviceScope'
  | 'parentScope'
  | 'provisioned'
>;

/** Seeds of a twin, as an enrollment has them. */
export interface TwinSeed {
  readonly tags?: JsonObject;
  readonly properties?: { readonly desired?: JsonObject };
}

export function newDevice(device: NewDevice, { clock, ids, nextGeneration }: Incarnation): DeviceRow {
  return { ...device, generationId: nextGeneration(), etagCounter: firstEtagCounter(ids), createdAt: clock.now() };
}

/** Writes a new identity with the twin that goes with it. Throws `ArgumentInvalid` for a seed beyond the limits. */
export async function insertIdentity(
  { devices, twins }: Pick<HubTransaction, 'devices' | 'twins'>,
  device: DeviceRow,
  seed: TwinSeed = {},
): Promise<void> {
  await devices.insert(device);
  await twins.insert(newTwin(device, seed, device.createdAt));
}

/** The twin that is stored with a new identity: etag 1, version 2, both sections version 1 (chapter 1.4). Throws `ArgumentInvalid`. */
export function newTwin(device: Pick<DeviceRow, 'hub' | 'deviceId'>, seed: TwinSeed, at: Instant): TwinRow {
  const tags = seedValues('tags', seed.tags ?? {}, limits.twinTagsBytes);
  const desired = seedValues('properties.desired', seed.properties?.desired ?? {}, limits.twinPropertiesBytes);
  return {
    hub: device.hub,
    deviceId: device.deviceId,
    etagCounter: 1,
    version: 2,
    tags,
    desired: Object.keys(desired).length === 0 ? emptySection(at) : writeSection(desired, { at, withVersions: true }, 1),
    reported: emptySection(at),
  };
}

function seedValues(section: string, given: JsonObject, maximumBytes: number): JsonObject {
  const values = withoutReserved(given);
  checkSectionValues(section, values);
  checkSectionSize(section, values, maximumBytes);
  return values;
}
