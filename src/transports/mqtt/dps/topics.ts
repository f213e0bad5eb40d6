import { parseTopicQuery } from '../engine/topic-query.ts';

/** The only filter a device may subscribe to (reference 1.5.3). */
export const responseFilter = '$dps/registrations/res/#';

/** What a device asks for by publishing. */
export type DpsRequest =
  | { readonly kind: 'register'; readonly rid: string }
  | { readonly kind: 'status'; readonly rid: string; readonly operationId: string };

const registerPrefix = '$dps/registrations/PUT/iotdps-register/';
const statusPrefix = '$dps/registrations/GET/iotdps-get-operationstatus/';

/** Reads a request topic; `undefined` for any other topic. A missing operation id reads as `''`. */
export function parseDpsTopic(topic: string): DpsRequest | undefined {
  if (topic.startsWith(registerPrefix)) {
    const query = parseTopicQuery(topic.slice(registerPrefix.length));
    return query && { kind: 'register', rid: query.rid };
  }
  if (!topic.startsWith(statusPrefix)) return undefined;
  const query = parseTopicQuery(topic.slice(statusPrefix.length));
  return query && { kind: 'status', rid: query.rid, operationId: query.values.get('operationId') ?? '' };
}

/** `$rid` comes first: Python and C# look for it right after `/?`. */
export function renderDpsTopic(answer: { readonly status: number; readonly rid: string; readonly retryAfterSeconds?: number }): string {
  const hint = answer.retryAfterSeconds === undefined ? '' : `&retry-after=${answer.retryAfterSeconds}`;
  return `$dps/registrations/res/${answer.status}/?$rid=${answer.rid}${hint}`;
}
