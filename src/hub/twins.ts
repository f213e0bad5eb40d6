import type { Twin } from '../contracts/hub/device.ts';
import { limits } from '../contracts/limits.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Precondition } from '../kernel/precondition.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { allows, renderTwinEtag } from './etag.ts';
import { requireHub, requireIdentity, requireTwin } from './lookup.ts';
import type { DeviceRow, HubStorage, SessionBus, TwinRow } from './ports.ts';
import { statesOf } from './presence.ts';
import { renderTwin, withVersion } from './render-twin.ts';
import type { Twins } from './service.ts';
import { readTwinBody, type TwinChange } from './twin-body.ts';
import { checkSectionSize, checkSectionValues } from './twin-limits.ts';
import { mergeProperties, mergeSection, writeSection } from './twin-merge.ts';

interface TwinDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
}

/** A changed twin, and what its device is told about it. */
interface Outcome {
  readonly twin: TwinRow;
  readonly notification?: JsonObject;
}

type Apply = (twin: TwinRow, change: TwinChange, at: Instant) => Outcome;

/** Twins as services see and change them (chapters 1.4 and 6.7). */
export function createTwins(deps: TwinDeps): Twins {
  const { storage, bus } = deps;
  const render = async (device: DeviceRow, twin: TwinRow): Promise<Twin> => {
    const stateOf = await statesOf({ bus, read: storage.read }, device.hub, [device]);
    return renderTwin(device, twin, stateOf(device));
  };
  return {
    async get(hub, deviceId) {
      const { name } = await requireHub(storage.read.hubs, hub);
      return render(await requireIdentity(storage.read, name, deviceId), await requireTwin(storage.read, name, deviceId));
    },

    async list(hub, page, only) {
      const { name } = await requireHub(storage.read.hubs, hub);
      const { items, ...rest } = await storage.read.devices.list(name, page, only);
      const twins = await Promise.all(items.map(async (device) => ({ device, twin: await storage.read.twins.get(name, device.deviceId) })));
      const stateOf = await statesOf({ bus, read: storage.read }, name, items);
      // A device may be removed between the two reads; then it is not listed.
      const found = twins.flatMap(({ device, twin }) => (twin === undefined ? [] : [renderTwin(device, twin, stateOf(device))]));
      return { items: found, ...rest };
    },

    async patch(hub, deviceId, change) {
      const { device, twin } = await writeTwin(deps, { hub, deviceId, ...change, apply: patchTwin });
      return render(device, twin);
    },

    async replace(hub, deviceId, change) {
      const { device, twin } = await writeTwin(deps, { hub, deviceId, ...change, apply: replaceTwin });
      return render(device, twin);
    },
  };
}

interface TwinWrite {
  readonly hub: string;
  readonly deviceId: string;
  readonly body: Json;
  readonly precondition: Precondition;
  readonly apply: Apply;
}

async function writeTwin({ storage, bus, clock }: TwinDeps, write: TwinWrite): Promise<{ device: DeviceRow; twin: TwinRow }> {
  const change = readTwinBody(write.body);
  checkValues(change);
  return storage.write(async (transaction) => {
    const { name } = await requireHub(transaction.hubs, write.hub);
    const device = await requireIdentity(transaction, name, write.deviceId);
    const current = await requireTwin(transaction, name, write.deviceId);
    requireEtag(current, write.precondition);
    const { twin, notification } = write.apply(current, change, clock.now());
    checkSectionSize('tags', twin.tags, limits.twinTagsBytes);
    checkSectionSize('properties.desired', twin.desired.properties, limits.twinPropertiesBytes);
    if (twin !== current) await transaction.twins.replace(twin, current.version);
    if (notification !== undefined) transaction.afterCommit(() => bus.notifyDesired(name, write.deviceId, notification));
    return { device, twin };
  });
}

/** Merges what the body has; sections that it leaves out, or has without members, stay as they are. */
function patchTwin(current: TwinRow, { tags, desired }: TwinChange, at: Instant): Outcome {
  const tagsChange = changes(tags);
  const desiredChange = changes(desired);
  if (!tagsChange && !desiredChange) return { twin: current };
  const twin = {
    ...current,
    ...(tagsChange ? { tags: tags === null || tags === undefined ? {} : mergeProperties(current.tags, tags) } : {}),
    etagCounter: current.etagCounter + 1,
    version: current.version + 1,
  };
  if (!desiredChange) return { twin };
  const patch = desired ?? removalOf(current.desired.properties);
  const section = mergeSection(current.desired, patch, { at, withVersions: true });
  return { twin: { ...twin, desired: section }, notification: withVersion(patch, section.version) };
}

/** Tags and desired properties become what the body has, or empty. */
function replaceTwin(current: TwinRow, { tags, desired }: TwinChange, at: Instant): Outcome {
  const section = writeSection(desired ?? {}, { at, withVersions: true }, current.desired.version + 1);
  return {
    twin: {
      ...current,
      tags: mergeProperties({}, tags ?? {}),
      desired: section,
      etagCounter: current.etagCounter + 1,
      version: current.version + 1,
    },
    notification: withVersion(section.properties, section.version),
  };
}

/** SDKs send `{}` for sections that they do not mean to change. */
function changes(section: JsonObject | null | undefined): boolean {
  return section === null || (section !== undefined && Object.keys(section).length > 0);
}

const removalOf = (properties: JsonObject): JsonObject => Object.fromEntries(Object.keys(properties).map((key) => [key, null]));

function checkValues({ tags, desired }: TwinChange): void {
  if (tags) checkSectionValues('tags', tags);
  if (desired) checkSectionValues('properties.desired', desired);
}

function requireEtag(twin: TwinRow, precondition: Precondition): void {
  if (allows(precondition, renderTwinEtag(twin.etagCounter))) return;
  throw new ServiceError(
    'PreconditionFailed',
    `ETag mismatch for device ID '${twin.deviceId}'. Read the twin again and repeat the change.`,
  );
}
