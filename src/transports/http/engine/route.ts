import type { LogFields } from '../../../kernel/logger.ts';
import type { Json } from '../../../kernel/json.ts';
import type { ServiceError } from '../../../kernel/service-error.ts';
import type { Instant } from '../../../kernel/clock.ts';
import type { PeerConnection } from '../../connection.ts';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A request as a binding sees it. The body has not been read: authorise first, then read what the limit allows. */
export interface HttpRequest {
  /** The route's pattern filled with decoded ids: what a shared access token has to cover. */
  readonly path: string;
  /** Ids from the path, decoded exactly once. */
  readonly params: Readonly<Record<string, string>>;
  /** `Host` as sent, possibly with a port. */
  readonly host: string;
  readonly trackingId: string;
  readonly peer: PeerConnection;
  /** A header by its lower-case name; repeated ones are joined as HTTP says. */
  header(name: string): string | undefined;
  /** Header names and values in the case and order in which they arrived. */
  headerLines(): readonly (readonly [name: string, value: string])[];
  /** First value of a query parameter; `''` when it stands there without one. */
  query(name: string): string | undefined;
  /** Throws `MessageTooLarge` as soon as the declared or received length passes the limit. */
  readBody(limitBytes: number): Promise<Buffer>;
  /** The parsed body, `undefined` when it is empty or blank. Throws `GenericBadRequest` with the position of the mistake. */
  readJson(limitBytes: number): Promise<Json | undefined>;
  /** Adds fields to the one log event of this request. */
  note(fields: LogFields): void;
}

/** One server-sent event. */
export interface ServerSentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

/** What a binding answers: JSON (`body`), bytes, nothing, or an open-ended stream of events. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; they are sent as they stand. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** A body that is not JSON. */
  readonly bytes?: { readonly content: Uint8Array; readonly type: string };
  /** Started after the head was sent; the signal aborts when the client has left or the door closes. */
  readonly events?: (signal: AbortSignal) => AsyncIterable<ServerSentEvent>;
}

/** One line of a binding's list: `path` has `:name` segments. */
export interface Route {
  readonly method: HttpMethod;
  readonly path: string;
  /** For answers that somebody else is waited for; instead of the engine's own limit. */
  readonly exchangeSeconds?: number;
  handle(request: HttpRequest): Promise<HttpAnswer>;
}

/** What an error body may need besides the error. */
export interface ErrorContext {
  readonly trackingId: string;
  readonly now: Instant;
}

/** A binding's routes, and how it words an error. */
export interface RouteGroup {
  readonly routes: readonly Route[];
  /** Whether a path that no route matched belongs here, so that the refusal has the shape that its clients read. */
  owns(path: string): boolean;
  renderError(error: ServiceError, context: ErrorContext): HttpAnswer;
}

/** Bounds that the engine keeps; the door takes them from the limits of the contracts. */
export interface HttpEngineLimits {
  readonly connections: number;
  readonly headBytes: number;
  /** From accept to the end of the first request's head. */
  readonly connectSeconds: number;
  /** From the end of an answer to the end of the next request's head. */
  readonly keepAliveSeconds: number;
  /** From the end of a request's head to the end of its answer. */
  readonly exchangeSeconds: number;
  /** Requests of one connection that wait for their answers. */
  readonly pipelined: number;
  readonly webSocketMessageBytes: number;
  /** How long open exchanges may take to end when the door closes. */
  readonly closeGraceSeconds: number;
  readonly heartbeatSeconds: number;
}
