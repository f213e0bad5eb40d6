import { assertNever } from '../../../kernel/assert-never.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Hub } from '../../../hub/service.ts';
import { hubNameOf } from '../errors.ts';

/** The hub takes a hundred identities at once (iot-hub.md 6.4). */
const maxItems = 100;

const modes = ['create', 'update', 'updateIfMatchETag', 'delete', 'deleteIfMatchETag', 'updateTwin', 'updateTwinIfMatchETag'] as const;
type Mode = (typeof modes)[number];

interface BulkError {
  readonly deviceId: string;
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
  readonly hub: Hub;
  readonly name: string;
  readonly body: Json;
}): Promise<BulkRegistryResult> {
  const errors: BulkError[] = [];
  for (const item of readItems(bulk.body)) {
    const deviceId = isJsonObject(item) && typeof item['id'] === 'string' ? item['id'] : '';
    try {
      if (!isJsonObject(item) || deviceId === '') throw new ServiceError('ArgumentInvalid', 'An item of the list has no id.');
      await runItem(bulk, { deviceId, item });
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) throw thrown;
      errors.push({ deviceId, errorCode: hubNameOf(thrown.error), errorStatus: thrown.message });
    }
  }
  return { isSuccessful: errors.length === 0, errors, warnings: [] };
}

async function runItem(
  { hub, name }: { readonly hub: Hub; readonly name: string },
  { deviceId, item }: { readonly deviceId: string; readonly item: JsonObject },
): Promise<void> {
  const mode = readMode(item['importMode']);
  switch (mode) {
    case 'create':
      await hub.registry.put(name, deviceId, { body: identityOf(item, deviceId), precondition: { kind: 'absent' } });
      if (hasTwin(item)) await hub.twins.patch(name, deviceId, { body: twinOf(item), precondition: { kind: 'any' } });
      return;
    case 'update':
      await hub.registry.put(name, deviceId, { body: identityOf(item, deviceId), precondition: { kind: 'any' } });
      return;
    case 'updateIfMatchETag':
      await hub.registry.put(name, deviceId, { body: identityOf(item, deviceId), precondition: etagOf(item['eTag']) });
      return;
    case 'delete':
      await hub.registry.delete(name, deviceId, { kind: 'any' });
      return;
    case 'deleteIfMatchETag':
      await hub.registry.delete(name, deviceId, etagOf(item['eTag']));
      return;
    case 'updateTwin':
      await hub.twins.patch(name, deviceId, { body: twinOf(item), precondition: { kind: 'any' } });
      return;
    case 'updateTwinIfMatchETag':
      await hub.twins.patch(name, deviceId, { body: twinOf(item), precondition: etagOf(item['twinETag']) });
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

function identityOf(item: JsonObject, deviceId: string): JsonObject {
  const { status, statusReason, authentication, capabilities } = item;
  return {
    deviceId,
    ...(status !== undefined && { status }),
    ...(statusReason !== undefined && { statusReason }),
    ...(authentication !== undefined && { authentication }),
    ...(capabilities !== undefined && { capabilities }),
  };
}

function twinOf({ tags, properties }: JsonObject): JsonObject {
  return { ...(tags !== undefined && { tags }), ...(properties !== undefined && { properties }) };
}

const hasTwin = (item: JsonObject): boolean => Object.keys(twinOf(item)).length > 0;
