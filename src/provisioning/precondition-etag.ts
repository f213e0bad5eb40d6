import type { Precondition } from '../kernel/precondition.ts';

/** The entity tag that a row must have, or `undefined` for any. */
export function expectedEtag(precondition: Precondition): string | undefined {
  return precondition.kind === 'etag' ? precondition.etag : undefined;
}
