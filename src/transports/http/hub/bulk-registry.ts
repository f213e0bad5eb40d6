import { assertNever } from '../../../kernel/assert-never.ts';
import { type IdentityIds, type IdentityPath, identityPath, idsOf } from '../../../contracts/hub/identity-path.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HubAdministration } from '../../../hub/service.ts';
import { hubNameOf } from '../errors.ts';

/** The hub takes a hundred identities at once (iot-hub.md 6.4). */
const maxItems = 100;

const modes = ['create', 'update', 'updateIfMatchETag', 'delete', 'deleteIfMatchETag', 'updateTwin', 'updateTwinIfMatchETag'] as const;
type Mode = (typeof modes)[number];

interface BulkError {
  readonly deviceId: string;
  readonly moduleId?: string;
  readonly errorCode: string;
  readonly errorStatus: string;
}

export interface BulkRegistryResult {
  readonly isSuccessful: boolean;
  readonly errors: readonly BulkError[];
  readonly warnings: readonly never[];
}

/** Writes each identity on its own: those that fail leave the others written (iot-hub.md 6.6). */
export async function runBulkRegistry(bulk: {
  readonly by: HubAdministration;
  readonly name: string;
  readonly body: Json;
}): Promise<BulkRegistryResult> {
  const errors: BulkError[] = [];
  const items = readItems(bulk.body).map((item) => ({ item, ids: idsIn(item) }));
  refuseRepetitions(items.map(({ ids }) => ids));
  for (const { item, ids } of items) {
    try {
      if (!isJsonObject(item) || ids.deviceId === '') throw new ServiceError('ArgumentInvalid', 'An item of the list has no id.');
      await runItem(bulk, { path: identityPath(ids), item });
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) throw thrown;
      errors.push({ ...ids, errorCode: hubNameOf(thrown.error), errorStatus: thrown.message });
    }
  }
  return { isSuccessful: errors.length === 0, errors, warnings: [] };
}

/** An identity that stands there twice would have two outcomes: nothing is written then (iot-hub.md 6.3). */
function refuseRepetitions(all: readonly IdentityIds[]): void {
  const seen = new Set<IdentityPath>();
  for (const path of all.filter(({ deviceId }) => deviceId !== '').map(identityPath)) {
    if (seen.has(path)) throw new ServiceError('DeviceDefinedMultipleTimes', `The identity '${path}' stands in the list more than once.`);
    seen.add(path);
  }
}

function idsIn(item: Json): IdentityIds {
  if (!isJsonObject(item)) return { deviceId: '' };
  const { id, moduleId } = item;
  const deviceId = typeof id === 'string' ? id : '';
  return typeof moduleId === 'string' && moduleId !== '' ? { deviceId, moduleId } : { deviceId };
}

async function runItem(
  { by, name }: { readonly by: HubAdministration; readonly name: string },
  { path, item }: { readonly path: IdentityPath; readonly item: JsonObject },
): Promise<void> {
  const mode = readMode(item['importMode']);
  const registry = idsOf(path).moduleId === undefined ? by.registry : by.modules;
  const put = (precondition: Precondition): Promise<unknown> =>
    registry.put(name, path, { body: identityOf(item, idsOf(path)), precondition });
  const patchTwin = (precondition: Precondition): Promise<unknown> => by.twins.patch(name, path, { body: twinOf(item), precondition });
  switch (mode) {
    case 'create':
      await put({ kind: 'absent' });
      if (hasTwin(item)) await patchTwin({ kind: 'any' });
      return;
    case 'update':
      await put({ kind: 'any' });
      return;
    case 'updateIfMatchETag':
      await put(etagOf(item['eTag']));
      return;
    case 'delete':
      await registry.delete(name, path, { kind: 'any' });
      return;
    case 'deleteIfMatchETag':
      await registry.delete(name, path, etagOf(item['eTag']));
      return;
    case 'updateTwin':
      await patchTwin({ kind: 'any' });
      return;
    case 'updateTwinIfMatchETag':
      await patchTwin(etagOf(item['twinETag']));
      return;
    default:
      assertNever(mode);
  }
}

function readItems(body: Json): readonly Json[] {
  if (!Array.isArray(body) || body.length === 0 || body.length > maxItems) {
    throw new ServiceError('ArgumentInvalid', `The body must be an array of 1 to ${String(maxItems)} devices.`);
  }
  return body as readonly Json[];
}

/** Without a mode an item is created. */
function readMode(wanted: Json | undefined): Mode {
  if (wanted === undefined || wanted === null) return 'create';
  const mode = modes.find((candidate) => typeof wanted === 'string' && candidate.toLowerCase() === wanted.toLowerCase());
  if (mode === undefined) throw new ServiceError('ArgumentInvalid', `The importMode must be one of ${modes.join(', ')}.`);
  return mode;
}

/** The conditional modes pass without an etag (iot-hub.md 6.6). */
function etagOf(etag: Json | undefined): Precondition {
  const precondition = parseIfMatch(typeof etag === 'string' ? etag : undefined);
  return precondition.kind === 'absent' ? { kind: 'any' } : precondition;
}

const written = ['status', 'statusReason', 'authentication', 'capabilities', 'deviceScope', 'parentScopes', 'managedBy'] as const;

function identityOf(item: JsonObject, { deviceId, moduleId }: IdentityIds): JsonObject {
  const given = written.flatMap((field) => (item[field] === undefined ? [] : [[field, item[field]]]));
  return { deviceId, ...(moduleId === undefined ? {} : { moduleId }), ...Object.fromEntries(given) } as JsonObject;
}

function twinOf({ tags, properties }: JsonObject): JsonObject {
  return { ...(tags !== undefined && { tags }), ...(properties !== undefined && { properties }) };
}

const hasTwin = (item: JsonObject): boolean => Object.keys(twinOf(item)).length > 0;
