import type { EventKind } from '../contracts/fleet/event.ts';
import type { Instant, Milliseconds } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';

/** An event as stored; see `MusterEvent`. */
export interface EventRow {
  readonly sequence: number;
  readonly at: Instant;
  readonly kind: EventKind;
  readonly data: JsonObject;
}

/** What operators want to hear of, in one order, and how far it was delivered. */
export interface EventStore {
  /** Returns the sequence number that it got. */
  append(event: Omit<EventRow, 'sequence'>): Promise<number>;
  /** In order, at most `limit`, with a sequence number greater than `after`. */
  after(after: number, limit: number): Promise<readonly EventRow[]>;
  /** The newest first, at most `limit`; `before` is a sequence number. */
  newest(query: { readonly limit: number; readonly before?: number; readonly kind?: EventKind }): Promise<readonly EventRow[]>;
  /** The last that was delivered; 0 before the first. */
  delivered(): Promise<number>;
  /** Everything up to this one is delivered. Never goes back. */
  markDelivered(sequence: number): Promise<void>;
  /** Removes those older than `before`, and of the rest all but the newest `keep`, delivered or not; returns how many. */
  prune(bounds: { readonly before: Instant; readonly keep: number }): Promise<number>;
}

/** What writing an event takes; every domain that has something to tell has it. */
export type EventSink = Pick<EventStore, 'append'>;

/** Where events are kept. `read` sees committed state; `write` resolves after the commit. */
export interface EventStorage {
  readonly read: { readonly events: EventStore };
  write<T>(work: (transaction: { readonly events: EventStore }) => Promise<T>): Promise<T>;
}

/** The webhook of an operator, with its address and its secret built in. */
export interface EventWebhook {
  /** Sends one body (JSON). Whatever goes wrong out there is a result; throws only for a bug. `signal` ends it early. */
  send(message: { readonly sequence: number; readonly body: string; readonly signal: AbortSignal }): Promise<DeliveryResult>;
}

/** `taken` for an answer of 2xx. */
export type DeliveryResult = (
  | { readonly kind: 'taken'; readonly status: number }
  | { readonly kind: 'failed'; /** A sentence. */ readonly detail: string }
) & { readonly elapsed: Milliseconds };
