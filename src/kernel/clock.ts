/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number & { readonly __brand: 'Instant' };

/** A length of time in milliseconds. */
export type Milliseconds = number & { readonly __brand: 'Milliseconds' };

export const instant = (epochMilliseconds: number): Instant => epochMilliseconds as Instant;
export const milliseconds = (n: number): Milliseconds => n as Milliseconds;
export const seconds = (n: number): Milliseconds => (n * 1000) as Milliseconds;
export const minutes = (n: number): Milliseconds => (n * 60_000) as Milliseconds;
export const hours = (n: number): Milliseconds => (n * 3_600_000) as Milliseconds;

export const plus = (at: Instant, span: Milliseconds): Instant => (at + span) as Instant;

/** Stops a timer that `Clock.after` started; calling it twice does nothing. */
export type Cancel = () => void;

/** Time as an argument: `runtime/` has the real one, tests advance a fake one. */
export interface Clock {
  now(): Instant;
  /** Calls `fn` once after `span`. Timers never keep the process alive. */
  after(span: Milliseconds, fn: () => void): Cancel;
}
