import type { Cause } from '../audit/actor.ts';

/** A cause with the words of the request, which are about this change and nothing else. */
export function because(
  cause: Cause,
  { reason = cause.reason, ticket = cause.ticket }: { readonly reason?: string; readonly ticket?: string },
): Cause {
  return { by: cause.by, ...(reason === undefined ? {} : { reason }), ...(ticket === undefined ? {} : { ticket }) };
}
