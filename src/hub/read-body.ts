import type { z } from 'zod';
import type { Json } from '../kernel/json.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** Checks a parsed JSON body against a schema. Throws `ArgumentInvalid` with a sentence that names the first wrong field. */
export function readBody<T>(schema: z.ZodType<T>, body: Json): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.join('.') ?? '';
  const subject = field === '' ? 'The request body' : `The field ${field} of the request body`;
  throw new ServiceError('ArgumentInvalid', `${subject} is not valid: ${issue?.message ?? 'it has another shape'}.`);
}
