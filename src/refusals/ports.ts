import type { RefusalSide } from '../contracts/fleet/refusal.ts';
import type { DenyName } from '../contracts/fleet/tripwire.ts';
import type { TransportName } from '../contracts/transport.ts';
import type { Instant } from '../kernel/clock.ts';

/** A refusal as stored; see `Refusal`. */
export interface RefusalRow {
  readonly sequence: number;
  readonly at: Instant;
  readonly side: RefusalSide;
  readonly place: string;
  readonly deviceId: string;
  readonly transport: TransportName;
  readonly address: string;
  readonly trackingId: string;
  readonly error: string;
  readonly reason: string;
  readonly sentence: string;
}

/** What shut a device out that an operator put there; only told, and not stored with the refusal. */
export interface RefusingDeny extends DenyName {
  /** Whether the peer has shown the device's own credential; otherwise it only named it. */
  readonly proven: boolean;
}

/** A refusal that is not stored yet. */
export type NewRefusal = Omit<RefusalRow, 'sequence'> & { readonly deny?: RefusingDeny };

/** Which refusals. Device ids compare without case. */
export interface RefusalFilter {
  readonly deviceId?: string;
  readonly transport?: TransportName;
  readonly side?: RefusalSide;
  readonly since?: Instant;
}

/** Every refusal in its order, kept as long as its reasons are. */
export interface RefusalStore {
  /** Returns the sequence number that it got. */
  append(row: NewRefusal): Promise<number>;
  /** In order, at most `limit`, with a sequence number greater than `after`. */
  after(after: number, query: { readonly limit: number; readonly filter?: RefusalFilter }): Promise<readonly RefusalRow[]>;
  /** The newest first, at most `limit`; `before` is a sequence number. */
  newest(query: { readonly limit: number; readonly before?: number; readonly filter?: RefusalFilter }): Promise<readonly RefusalRow[]>;
  /** The sequence numbers that are kept: of the first, and of the last that was ever given out. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  /** Removes those older than `before`, and of the rest all but the newest `keep`; returns how many. */
  prune(bounds: { readonly before: Instant; readonly keep: number }): Promise<number>;
}
