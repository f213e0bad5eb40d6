import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';

import { type Clock, type Milliseconds, milliseconds } from '../kernel/clock.ts';
import type { WebhookResult } from '../provisioning/ports.ts';

type Failure = Omit<Extract<WebhookResult, { kind: 'failed' }>, 'elapsed' | 'kind'>;
type Ending = { readonly status: number; readonly body: string } | Failure;

export interface JsonPost {
  readonly url: string;
  readonly body: string;
  /** Besides those that every call has. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Sends JSON with POST over HTTP or HTTPS, each call on a connection of its own. The server's certificate is verified
 * against the roots that Node trusts (`NODE_EXTRA_CA_CERTS` adds to them), a redirect is an answer like any other, and no
 * compression is asked for, so that what arrives is as large as it looks. Whatever goes wrong out there is a result.
 */
export function createJsonPoster({
  clock,
  patience,
  answerBytes,
}: {
  readonly clock: Clock;
  /** For a whole answer. */
  readonly patience: Milliseconds;
  readonly answerBytes: number;
}): (post: JsonPost) => Promise<WebhookResult> {
  return ({ url, body, headers, signal }) => {
    const startedAt = clock.now();
    return new Promise((resolve) => {
      const target = new URL(url);
      const send = target.protocol === 'https:' ? requestTls : requestPlain;
      const outgoing = send(target, {
        method: 'POST',
        agent: false,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'identity',
          'content-type': 'application/json; charset=utf-8',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'muster',
          ...headers,
        },
      });
      const stop = (): void => end({ reason: 'stopped', detail: 'The service is shutting down.' });
      const cancel = clock.after(patience, () =>
        end({ reason: 'timed-out', detail: `There was no whole answer within ${patience / 1000} seconds.` }),
      );
      signal.addEventListener('abort', stop);
      let hasEnded = false;

      function end(ending: Ending): void {
        if (hasEnded) return;
        hasEnded = true;
        cancel();
        signal.removeEventListener('abort', stop);
        outgoing.destroy();
        const elapsed = milliseconds(clock.now() - startedAt);
        resolve('status' in ending ? { kind: 'answered', ...ending, elapsed } : { kind: 'failed', ...ending, elapsed });
      }

      listen(outgoing, { answerBytes, end });
      if (signal.aborted) stop();
      else outgoing.end(body);
    });
  };
}

function listen(
  outgoing: ClientRequest,
  { answerBytes, end }: { readonly answerBytes: number; readonly end: (ending: Ending) => void },
): void {
  const tooLarge: Failure = { reason: 'too-large', detail: `The answer is larger than ${answerBytes} bytes.` };
  let answer: IncomingMessage | undefined;
  outgoing.on('error', (error) => {
    const detail = describe(error);
    end(answer === undefined ? { reason: 'unreachable', detail } : { reason: 'broken-off', detail });
  });
  outgoing.on('response', (response) => {
    answer = response;
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > answerBytes) end(tooLarge);
      else chunks.push(chunk);
    });
    response.on('end', () => end({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }));
    response.on('error', (error) => end({ reason: 'broken-off', detail: describe(error) }));
    // The declared length is enough to refuse; nothing of it needs to arrive.
    if (Number(response.headers['content-length'] ?? 0) > answerBytes) end(tooLarge);
  });
}

/** Both addresses of a host that refuses make an AggregateError, whose own message is empty. */
function describe(error: Error & { readonly code?: string }): string {
  const text = error.message === '' ? (error.code ?? error.name) : error.message;
  return text.endsWith('.') ? text : `${text}.`;
}
