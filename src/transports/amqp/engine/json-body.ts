import type { ErrorName } from '../../../kernel/error-table.ts';
import type { Json } from '../../../kernel/json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { bodyBytes, type MessageBody } from './message.ts';

/** The JSON of a body, `undefined` if there is none or only white space (Node sends a space). Throws `refusal`. */
export function parseJsonBody(body: MessageBody, refusal: ErrorName): Json | undefined {
  const bytes = bodyBytes(body);
  if (bytes === undefined) throw new ServiceError(refusal, 'The body is not text.');
  const text = bytes.toString('utf8').trim();
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new ServiceError(refusal, 'The body is not well-formed JSON.', { detail: String(error) });
  }
}
