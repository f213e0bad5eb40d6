import { hours, type Instant, instant, milliseconds, minutes, plus } from '../../../kernel/clock.ts';

/** From a few minutes ago, because clocks of devices run behind, for so many days. */
export function validityOfDays(days: number, now: Instant): { readonly notBefore: Instant; readonly notAfter: Instant } {
  // Certificates count in whole seconds.
  const start = instant(Math.floor(now / 1000) * 1000 - minutes(5));
  return { notBefore: start, notAfter: plus(start, milliseconds(days * hours(24))) };
}
