import type { Clock, Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';

/** A block that has ended covers nobody, and whoever asks for one would be told that a device is out. Throws `ArgumentInvalid`. */
export function checkEndsLater(expiresAt: Instant | undefined, clock: Pick<Clock, 'now'>): void {
  if (expiresAt !== undefined && expiresAt <= clock.now()) {
    throw new ServiceError('ArgumentInvalid', 'The block would have ended already. Nothing was changed.');
  }
}
