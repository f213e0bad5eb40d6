import { isUtf8 } from 'node:buffer';
import type { Json } from '../../../kernel/json.ts';
import type { ErrorName } from '../../../kernel/error-table.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

/** Reads a payload as JSON; `undefined` when it is empty or blank (SDKs send a single space). Throws `error`. */
export function parseJsonPayload(payload: Buffer, error: ErrorName): Json | undefined {
  if (!isUtf8(payload)) throw new ServiceError(error, 'The body is not UTF-8.');
  const text = payload.toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new ServiceError(error, 'The body is not valid JSON.');
  }
}
