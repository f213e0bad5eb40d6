import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Instant } from '../../../kernel/clock.ts';
import type { LogFields, Logger } from '../../../kernel/logger.ts';
import { ServiceError, asServiceError } from '../../../kernel/service-error.ts';
import type { PeerConnection } from '../../connection.ts';
import type { Occupant } from './connections.ts';
import { pathOf } from './path-pattern.ts';

/** One request and its answer, from the end of its head to the one log event that tells of it. */
export class Exchange implements Occupant {
  readonly trackingId: string;
  readonly peer: PeerConnection;
  /** The matched route's pattern; ids stay out of it. */
  route = 'none';
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #method: string;
  readonly #response: ServerResponse | undefined;
  readonly #startedAt: Instant;
  #ended: AbortController | undefined;
  #isOver = false;
  readonly #firstSegment: string;
  #fields: LogFields = {};
  #level: 'info' | 'error' = 'info';
  #logged = false;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger },
    input: {
      readonly message: IncomingMessage;
      readonly peer: PeerConnection;
      readonly trackingId: string;
      readonly response?: ServerResponse;
    },
  ) {
    this.#deps = deps;
    this.#method = input.message.method ?? '';
    this.#response = input.response;
    this.#startedAt = deps.clock.now();
    this.trackingId = input.trackingId;
    this.peer = input.peer;
    this.#firstSegment = firstSegment(input.message);
  }

  /** Aborts when the client has left or the door closes. */
  get signal(): AbortSignal {
    this.#ended ??= new AbortController();
    if (this.#isOver) this.#ended.abort();
    return this.#ended.signal;
  }

  note(fields: LogFields): void {
    this.#fields = { ...this.#fields, ...fields };
  }

  /** Turns what a handler threw into the error to render; a bug goes to the log whole and to the peer not at all. */
  fail(thrown: unknown): ServiceError {
    const error = asServiceError(thrown);
    this.note({ error: error.error, ...(error.detail === undefined ? {} : { detail: error.detail }) });
    if (!(thrown instanceof ServiceError)) {
      this.#level = 'error';
      this.note({ thrown: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
    }
    return error;
  }

  onGone(): void {
    this.onClosing();
    this.finish();
  }

  /** Few ask for the signal, and a controller costs as much as the rest of this. */
  onClosing(): void {
    this.#isOver = true;
    this.#ended?.abort();
  }

  /** Emits the event, once. `status` is for answers that have no response object. */
  finish(status?: number): void {
    if (this.#logged) return;
    this.#logged = true;
    const answered = this.#response?.writableFinished ?? true;
    this.#deps.log[this.#level]('http.request', {
      method: this.#method,
      ...(this.route === 'none' ? { route: 'none', firstSegment: this.#firstSegment } : { route: this.route }),
      status: status ?? this.#response?.statusCode ?? 0,
      ms: this.#deps.clock.now() - this.#startedAt,
      trackingId: this.trackingId,
      remoteAddress: this.peer.remoteAddress,
      ...(answered ? {} : { aborted: true }),
      ...this.#fields,
    });
  }
}

/** Tells unknown routes apart in the log without taking ids or queries into it. */
function firstSegment(message: IncomingMessage): string {
  return (
    pathOf(message.url ?? '')
      .split('/')[1]
      ?.slice(0, 40) ?? ''
  );
}
