import type { Clock } from '../kernel/clock.ts';
import { instant } from '../kernel/clock.ts';

/** The real time. Timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => instant(Date.now()),
  after(span, fn) {
    // Node fires at once above 2^31-1 ms; such a timer is re-armed until its time has come.
    const longest = 2 ** 31 - 1;
    let rest: number = span;
    let timer = arm();
    function arm(): NodeJS.Timeout {
      const step = Math.min(rest, longest);
      rest -= step;
      return setTimeout(() => (rest > 0 ? (timer = arm()) : fn()), step).unref();
    }
    return () => clearTimeout(timer);
  },
};
