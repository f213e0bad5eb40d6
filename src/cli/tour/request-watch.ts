import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { performance } from 'node:perf_hooks';

/** When the commands' own HTTP client let go of a request. */
export interface RequestWatch {
  /** Milliseconds on the clock of this process; `undefined` when nothing was sent. */
  sentAt(): number | undefined;
  release(): void;
}

/** Watches for the next request with this method, from the outside: the command does not know. */
export function watchRequest(method: string): RequestWatch {
  let at: number | undefined;
  const onStart = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest };
    // Handshake and header are behind it by then; the service has at most just begun to read.
    if (request.method === method) request.once('finish', () => (at ??= performance.now()));
  };
  subscribe('http.client.request.start', onStart);
  return { sentAt: () => at, release: () => unsubscribe('http.client.request.start', onStart) };
}
