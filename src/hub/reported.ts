import { limits } from '../contracts/limits.ts';
import type { Clock } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireGranted } from './granted.ts';
import { requireTwin } from './lookup.ts';
import type { HubStorage, SessionBus } from './ports.ts';
import type { DevicePlane } from './service.ts';
import { readReportedPatch } from './twin-body.ts';
import { checkSectionSize, checkSectionValues } from './twin-limits.ts';
import { mergeSection } from './twin-merge.ts';

/** Writes what devices report into their twins (chapter 3.6). The service's etag of the twin stays (chapter 1.4). */
export function createReportedWriter(deps: {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
}): DevicePlane['patchReported'] {
  const { storage, bus, clock } = deps;
  return async (grant, body, expectedVersion) => {
    const patch = readReportedPatch(body);
    checkSectionValues('properties.reported', patch);
    return storage.write(async (transaction) => {
      await requireGranted(transaction, grant, clock.now());
      const twin = await requireTwin(transaction, grant.hub, grant.deviceId);
      requireVersion(twin.reported.version, expectedVersion);
      transaction.afterCommit(() => bus.touch(grant.hub, grant.deviceId));
      if (Object.keys(patch).length === 0) return twin.reported.version;
      const reported = mergeSection(twin.reported, patch, { at: clock.now(), withVersions: false });
      checkSectionSize('properties.reported', reported.properties, limits.twinPropertiesBytes);
      await transaction.twins.replace({ ...twin, reported, version: twin.version + 1 }, twin.version);
      return reported.version;
    });
  };
}

function requireVersion(current: number, expected: number | undefined): void {
  if (expected === undefined || expected === current) return;
  throw new ServiceError('PreconditionFailed', `The reported properties have version ${current}, not ${expected}. Read the twin again.`);
}
