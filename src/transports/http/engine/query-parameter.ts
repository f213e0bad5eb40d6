import type { ErrorName } from '../../../kernel/error-table.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpRequest } from './route.ts';

/** A query parameter that a binding insists on. */
export interface QueryRule {
  readonly name: string;
  isWellFormed(text: string): boolean;
  /** The form in words, for the sentence of the refusal. */
  readonly form: string;
}

/** The parameter. Throws `error` when it is missing, empty or malformed. */
export function requireQuery(request: HttpRequest, rule: QueryRule, error: ErrorName): string {
  const text = request.query(rule.name);
  if (text === undefined || text === '') throw new ServiceError(error, `The query parameter ${rule.name} is missing.`);
  if (!rule.isWellFormed(text)) throw new ServiceError(error, `The query parameter ${rule.name} must read ${rule.form}.`);
  return text;
}
