import { limits } from '../../../contracts/limits.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../kernel/json.ts';
import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { ProvisioningAdministration } from '../../../provisioning/service.ts';
import type { EnrollmentKind } from './enrollment-routes.ts';

const modes = ['create', 'update', 'updateIfMatchETag', 'delete'] as const;
type Mode = (typeof modes)[number];

/** Result of a bulk operation; the id stands under `registrationId` or `enrollmentGroupId`. */
export interface BulkResult {
  readonly isSuccessful: boolean;
  readonly errors: readonly Readonly<Record<string, string | number>>[];
}

/** Runs up to ten operations, each in a transaction of its own: one that fails leaves the others done (dps.md 4.2). */
export async function runBulk<T>(bulk: {
  readonly kind: EnrollmentKind<T>;
  readonly by: ProvisioningAdministration;
  readonly instance: string;
  readonly body: Json;
}): Promise<BulkResult> {
  const { mode, items } = parseBulk(bulk.body, bulk.kind.bulkField);
  const errors: Readonly<Record<string, string | number>>[] = [];
  for (const item of items) {
    const id = isJsonObject(item) ? item[bulk.kind.idField] : undefined;
    try {
      if (!isJsonObject(item) || typeof id !== 'string') throw new ServiceError('DpsBadRequest', `An item has no ${bulk.kind.idField}.`);
      await runItem(bulk, { mode, id, item });
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) throw thrown;
      errors.push({ [bulk.kind.idField]: typeof id === 'string' ? id : '', errorCode: thrown.row.code, errorStatus: thrown.message });
    }
  }
  return { isSuccessful: errors.length === 0, errors };
}

async function runItem<T>(
  { kind, by, instance }: { readonly kind: EnrollmentKind<T>; readonly by: ProvisioningAdministration; readonly instance: string },
  { mode, id, item }: { readonly mode: Mode; readonly id: string; readonly item: JsonObject },
): Promise<void> {
  const precondition = preconditionOf(mode, item);
  const enrollments = kind.of(by);
  if (mode === 'delete') await enrollments.delete(instance, id, precondition);
  else await enrollments.put(instance, id, { body: item, precondition });
}

function preconditionOf(mode: Mode, item: JsonObject): Precondition {
  const etag = parseIfMatch(typeof item['etag'] === 'string' ? item['etag'] : undefined);
  switch (mode) {
    case 'create':
      return { kind: 'absent' };
    case 'update':
      return { kind: 'any' };
    case 'delete':
      return etag;
    case 'updateIfMatchETag':
      if (etag.kind === 'absent') throw new ServiceError('DpsBadRequest', 'The mode updateIfMatchETag needs an etag in every item.');
      return etag;
    default:
      return assertNever(mode);
  }
}

function parseBulk(body: Json, field: string): { readonly mode: Mode; readonly items: readonly Json[] } {
  if (!isJsonObject(body)) throw new ServiceError('DpsBadRequest', 'A bulk operation is a JSON object.');
  const wanted = body['mode'];
  // Node's typings spell `updateIfMatchEtag`.
  const mode = modes.find((candidate) => typeof wanted === 'string' && candidate.toLowerCase() === wanted.toLowerCase());
  if (mode === undefined) throw new ServiceError('DpsBadRequest', `The mode must be one of ${modes.join(', ')}.`);
  const items = body[field];
  if (!Array.isArray(items) || items.length === 0 || items.length > limits.bulkItems) {
    throw new ServiceError('DpsBadRequest', `The field ${field} must hold 1 to ${String(limits.bulkItems)} items.`);
  }
  return { mode, items: items as readonly Json[] };
}
