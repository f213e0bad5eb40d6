import { isJsonObject, type Json, type JsonObject } from '../kernel/json.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** What of a twin body may be written. A section that the body leaves out is absent; null empties it (RFC 7386). */
export interface TwinChange {
  readonly tags?: JsonObject | null;
  readonly desired?: JsonObject | null;
}

/**
 * Reads a PATCH or PUT body. Clients send whole twins, so everything that is read-only (identity, `reported`,
 * `$metadata`, `$version`) is passed over (trap 14). Throws `ArgumentInvalid`.
 */
export function readTwinBody(body: Json): TwinChange {
  if (!isJsonObject(body)) throw new ServiceError('ArgumentInvalid', 'The twin must be a JSON object.');
  const tags = readSection('tags', member(body, 'tags'));
  const properties = member(body, 'properties');
  if (properties !== undefined && properties !== null && !isJsonObject(properties)) throw notAnObject('properties');
  const desired = isJsonObject(properties) ? readSection('properties.desired', member(properties, 'desired')) : undefined;
  return { ...(tags === undefined ? {} : { tags }), ...(desired === undefined ? {} : { desired }) };
}

/** A device's patch of its reported properties. Throws `ArgumentInvalid`. */
export function readReportedPatch(patch: Json): JsonObject {
  if (!isJsonObject(patch)) throw notAnObject('properties.reported');
  return withoutReserved(patch);
}

/** A section without the service's own members. Only the top level has them; deeper down `$` is refused by the limits. */
export function withoutReserved(section: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(section).filter(([key]) => key !== '$metadata' && key !== '$version'));
}

function readSection(name: string, value: Json | undefined): JsonObject | null | undefined {
  if (value === undefined || value === null) return value;
  if (!isJsonObject(value)) throw notAnObject(name);
  return withoutReserved(value);
}

// Not `body[key]`: a body without the member must not find one on the prototype.
function member(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

const notAnObject = (name: string): ServiceError => new ServiceError('ArgumentInvalid', `The twin's ${name} must be a JSON object.`);
