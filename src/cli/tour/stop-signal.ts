import { failure } from '../exit-code.ts';

/** What ends a tour before its time: a signal of the person, or the clock. */
export interface StopSignal {
  readonly signal: AbortSignal;
  /** Takes its hands off the process. */
  release(): void;
}

export function createStopSignal(limitSeconds: number): StopSignal {
  const controller = new AbortController();
  const stop = (words: string) => (): void => controller.abort(failure(words));
  const onInterrupt = stop('It was interrupted.');
  const onTerminate = stop('It was told to end.');
  // Once each: a second signal ends the process as it does by default.
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  const timer = setTimeout(stop(`It took more than ${limitSeconds} seconds, which is far too long.`), limitSeconds * 1000);
  return {
    signal: controller.signal,
    release: () => {
      clearTimeout(timer);
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
    },
  };
}

/** The work, or the reason of the signal if that comes first. */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let listener = (): void => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    listener = () => reject(signal.reason as Error);
    signal.addEventListener('abort', listener, { once: true });
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    signal.removeEventListener('abort', listener);
  }
}
