import { renderTimestamp } from '../contracts/timestamp.ts';
import type { Instant } from '../kernel/clock.ts';
import { isJsonObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { TwinSection } from './ports.ts';

/** When a change of a section happened, and as which version of it. Reported sections keep no versions in their metadata. */
export interface SectionChange {
  readonly at: Instant;
  readonly withVersions: boolean;
}

/** A section that nobody wrote yet: version 1, metadata that only says since when (chapter 1.4). */
export function emptySection(at: Instant): TwinSection {
  return { version: 1, properties: {}, metadata: { $lastUpdated: renderTimestamp(at) } };
}

/** A section written as a whole, as version `version`. Members that are null count as absent, as in a patch. */
export function writeSection(properties: JsonObject, change: SectionChange, version: number): TwinSection {
  const merged = mergeProperties({}, properties);
  return { version, properties: merged, metadata: mergeMetadata({}, merged, stampOf(change, version)) };
}

/** Merges a patch after RFC 7386; the result is one version further. `patch` must not have `$` members. */
export function mergeSection(section: TwinSection, patch: JsonObject, change: SectionChange): TwinSection {
  const version = section.version + 1;
  return {
    version,
    properties: mergeProperties(section.properties, patch),
    metadata: mergeMetadata(section.metadata, patch, stampOf(change, version)),
  };
}

/** RFC 7386 for objects: members merge, null deletes, everything else replaces. */
export function mergeProperties(target: JsonObject, patch: JsonObject): JsonObject {
  // Built from entries: assigning to a member called `__proto__` would change the prototype instead.
  const merged = new Map(Object.entries(target));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, isJsonObject(value) ? mergeProperties(objectOrEmpty(merged.get(key)), value) : value);
  }
  return Object.fromEntries(merged);
}

function mergeMetadata(target: JsonObject, patch: JsonObject, stamp: JsonObject): JsonObject {
  const merged = new Map(Object.entries({ ...target, ...stamp }));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, isJsonObject(value) ? mergeMetadata(objectOrEmpty(merged.get(key)), value, stamp) : stamp);
  }
  return Object.fromEntries(merged);
}

function stampOf(change: SectionChange, version: number): JsonObject {
  const $lastUpdated = renderTimestamp(change.at);
  return change.withVersions ? { $lastUpdated, $lastUpdatedVersion: version } : { $lastUpdated };
}

function objectOrEmpty(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}
