import type { IncomingMessage } from 'node:http';
import type { LogFields } from '../../../kernel/logger.ts';
import { parseJson } from '../../../kernel/parse-json.ts';
import type { PeerConnection } from '../../connection.ts';
import { fillPattern } from './path-pattern.ts';
import { readBody } from './read-body.ts';
import type { HttpRequest } from './route.ts';

/** Wraps Node's message; nothing is read until the binding asks for it. */
export function createHttpRequest(input: {
  readonly message: IncomingMessage;
  readonly pattern: string;
  readonly params: Readonly<Record<string, string>>;
  readonly trackingId: string;
  readonly peer: PeerConnection;
  readonly note: (fields: LogFields) => void;
}): HttpRequest {
  const { message, params } = input;
  const url = message.url ?? '/';
  const queryAt = url.indexOf('?');
  const query = new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt + 1));
  return {
    path: fillPattern(input.pattern, params),
    params,
    host: message.headers.host ?? '',
    trackingId: input.trackingId,
    peer: input.peer,
    header: (name) => {
      const value = message.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    headerLines: () => pairs(message.rawHeaders),
    query: (name) => query.get(name) ?? undefined,
    readBody: async (limitBytes) => readBody(message, limitBytes),
    readJson: async (limitBytes) => parseJson(await readBody(message, limitBytes)),
    note: input.note,
  };
}

function pairs(rawHeaders: readonly string[]): (readonly [string, string])[] {
  return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as const] : []));
}
