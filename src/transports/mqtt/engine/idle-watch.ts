import { milliseconds, type Cancel, type Clock, type Milliseconds } from '../../../kernel/clock.ts';

export interface IdleWatch {
  /** Something arrived. */
  touch(): void;
  stop(): void;
}

/**
 * Calls `onIdle` once when nothing was touched for `span`. While `isBusy`, the silence is ours (the stream is not
 * being read), so it does not count.
 */
export function watchIdle(watch: {
  readonly clock: Clock;
  readonly span: Milliseconds;
  readonly isBusy: () => boolean;
  readonly onIdle: () => void;
}): IdleWatch {
  const { clock, span, isBusy, onIdle } = watch;
  let last = clock.now();
  let cancel: Cancel = clock.after(span, look);
  function look(): void {
    if (isBusy()) last = clock.now();
    const rest = last + span - clock.now();
    if (rest <= 0) return onIdle();
    cancel = clock.after(milliseconds(rest), look);
  }
  return {
    touch: () => void (last = clock.now()),
    stop: () => cancel(),
  };
}

/** Keep-alive is dropped after one and a half times its value [MQTT-3.1.2-24]; none, or too long a one, is our cap. */
export function silenceLimit(keepAliveSeconds: number, capSeconds: number): Milliseconds {
  const effective = keepAliveSeconds === 0 ? capSeconds : Math.min(keepAliveSeconds, capSeconds);
  return milliseconds(effective * 1500);
}
