import { parseIfMatch, type Precondition } from '../../../kernel/precondition.ts';
import type { HttpRequest } from '../engine/route.ts';

/** The entity tag that a caller knows, if it says one. */
export function ifMatch(request: HttpRequest): Precondition {
  return parseIfMatch(request.header('if-match'));
}
