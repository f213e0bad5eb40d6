import type { Cancel, Clock, Milliseconds } from './clock.ts';

/** Work that is done again and again while a service runs, one round at a time. */
export interface Rounds {
  /** Does a round now; when one is under way, resolves with the end of that one. Never rejects. */
  now(): Promise<void>;
  /** Begins no further round; resolves when the one under way has ended. */
  close(): Promise<void>;
}

/**
 * Does `round` every `interval`, counted from the end of the one before. Nobody waits for a round, so one that fails is
 * told to `onFailure`, and the next one tries again.
 */
export function createRounds(deps: {
  readonly clock: Clock;
  readonly interval: Milliseconds;
  readonly round: () => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}): Rounds {
  let underWay: Promise<void> | undefined;
  let closed = false;
  let cancel: Cancel = () => {};

  function arm(): void {
    cancel();
    if (!closed) cancel = deps.clock.after(deps.interval, () => void now());
  }

  function now(): Promise<void> {
    if (closed) return underWay ?? Promise.resolve();
    underWay ??= deps
      .round()
      .catch(deps.onFailure)
      .finally(() => {
        underWay = undefined;
        arm();
      });
    return underWay;
  }

  arm();
  return {
    now,
    async close() {
      closed = true;
      cancel();
      await underWay;
    },
  };
}
