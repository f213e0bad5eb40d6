import { type Instant, type Milliseconds, milliseconds } from '../kernel/clock.ts';

/** So many in so long, and at most so many at once. */
export interface Rate {
  /** From 1. */
  readonly count: number;
  readonly per: Milliseconds;
}

/** A bucket that fills evenly and holds one period's worth. */
export interface TokenBucket {
  /** From 0 to `rate.count`, fractions included. */
  readonly tokens: number;
  /** When `tokens` was true. */
  readonly at: Instant;
}

export type Draw =
  | { readonly ok: true; readonly bucket: TokenBucket }
  | {
      readonly ok: false;
      readonly bucket: TokenBucket;
      /** Until there is a token, if nobody else takes it. */ readonly wait: Milliseconds;
    };

export const fullBucket = (rate: Rate, at: Instant): TokenBucket => ({ tokens: rate.count, at });

/** Fractions do not add up exactly: whoever waited as told could miss a token by less than this, and is let through. */
const roundingError = 1e-9;

/** Takes one token. A clock that went back adds nothing, and takes nothing away. */
export function drawToken(bucket: TokenBucket, rate: Rate, now: Instant): Draw {
  const elapsed = Math.max(0, now - bucket.at);
  const tokens = Math.min(rate.count, bucket.tokens + (elapsed * rate.count) / rate.per);
  const at = now > bucket.at ? now : bucket.at;
  if (tokens >= 1 - roundingError) return { ok: true, bucket: { tokens: Math.max(0, tokens - 1), at } };
  // From a whole millisecond on, so that whoever waits as told is let through.
  const wait = milliseconds(Math.ceil(((1 - tokens) * rate.per) / rate.count) + (at - now));
  return { ok: false, bucket: { tokens, at }, wait };
}
