/** Wakes a waiter once for any number of rings, also for those that came before it waited. */
export interface Waiter {
  readonly ring: () => void;
  readonly next: () => Promise<void>;
}

export function createWaiter(): Waiter {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    next: async () => {
      if (!rung) await new Promise<void>((resolve) => (wake = resolve));
      wake = undefined;
      rung = false;
    },
  };
}
