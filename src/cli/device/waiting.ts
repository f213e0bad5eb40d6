import { setTimeout as delay } from 'node:timers/promises';

import { failure } from '../exit-code.ts';

const answerSeconds = 30;

/** The promise, or a failure that says what did not come in time. */
export async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(failure(`${what} did not come within ${answerSeconds} seconds.`)), answerSeconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Rejects as soon as the signal is given, if there is one. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return delay(milliseconds, undefined, signal === undefined ? {} : { signal });
}

/** A promise with its handles outside. */
export function deferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
