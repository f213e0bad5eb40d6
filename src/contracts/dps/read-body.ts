import type { z } from 'zod';

import { ServiceError } from '../../kernel/service-error.ts';

/** Checks a parsed JSON body against its schema. Throws `DpsBadRequest` with a sentence that names the first field at fault. */
export function readBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue === undefined || issue.path.length === 0 ? 'The body' : issue.path.map(String).join('.');
  throw new ServiceError('DpsBadRequest', `${field} is not valid: ${sentence(issue)}`);
}

function sentence(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'check it.';
  switch (issue.code) {
    case 'invalid_type':
      return `it must be ${article(issue.expected)}.`;
    case 'invalid_value':
      return `use one of ${issue.values.map((value) => `'${String(value)}'`).join(', ')}.`;
    case 'invalid_union':
      return 'it has none of the forms that are allowed here.';
    case 'custom':
      return issue.message;
    default:
      return `${issue.message}.`;
  }
}

function article(expected: string): string {
  if (expected === 'record' || expected === 'object') return 'a JSON object';
  return /^[aeiou]/u.test(expected) ? `an ${expected}` : `a ${expected}`;
}
