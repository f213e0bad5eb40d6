import type { ErrorName } from '../../../kernel/error-table.ts';
import type { Json } from '../../../kernel/json.ts';
import { parseJson } from '../../../kernel/parse-json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { bodyBytes, type MessageBody } from './message.ts';

/** The JSON of a body, `undefined` if there is none or only white space. Throws `refusal`. */
export function parseJsonBody(body: MessageBody, refusal: ErrorName): Json | undefined {
  const bytes = bodyBytes(body);
  if (bytes === undefined) throw new ServiceError(refusal, 'The body is not text.');
  return parseJson(bytes, refusal);
}
