import type { Cancel, Clock, Milliseconds } from './clock.ts';

/** Waits for something to happen again and again, and says so once when it did not for too long. */
export interface Patience {
  /** It happened: the time begins anew. */
  renew(): void;
  /** Nobody waits any more. */
  stop(): void;
}

export function createPatience({
  clock,
  span,
  onOver,
}: {
  readonly clock: Clock;
  readonly span: Milliseconds;
  readonly onOver: () => void;
}): Patience {
  const start = (): Cancel => clock.after(span, onOver);
  let cancel = start();
  let stopped = false;
  return {
    renew() {
      cancel();
      if (!stopped) cancel = start();
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}
