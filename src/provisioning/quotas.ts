import { LRUCache } from 'lru-cache';

import type { QuotaNumbers } from '../contracts/quotas.ts';
import { type Clock, minutes, seconds } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { drawToken, fullBucket, type Rate, type TokenBucket } from './token-bucket.ts';

/** Things that an instance may have so many of. */
export type CountedThing = Exclude<keyof QuotaNumbers, `${string}Per${string}`>;

/**
 * The limits of an instance, in one place. Rates are kept by this process; counts are what the store holds.
 *
 * Rates count what has been let through: a stranger must not be able to use up what belongs to operators and devices.
 */
export interface Quotas {
  /** One more request to the service API. Throws `Throttled`. */
  serviceOperation(instance: string): void;
  /** One more registration of an enrolled device. Throws `Throttled`. */
  registration(instance: string): void;
  /** One more poll of a device. Throws `Throttled`. */
  poll(instance: string, registrationId: string): void;
  /** One more of a thing, of which `count` says how many there are. Throws `DpsQuotaExceeded`. */
  take(thing: CountedThing, instance: string, count: () => Promise<number>): Promise<void>;
}

/** Buckets in memory at most: one is full again, and not needed, after its period. */
const keptBuckets = 100_000;

const words: Readonly<Record<CountedThing, string>> = {
  registrations: 'registration records',
  individualEnrollments: 'individual enrollments',
  x509EnrollmentGroups: 'enrollment groups with attestation type x509',
  symmetricKeyEnrollmentGroups: 'enrollment groups with attestation type symmetricKey',
  caCertificates: 'CA certificates',
  linkedHubs: 'linked IoT hubs',
};

/** Rates that several processes give out of together. */
export interface SharedRates {
  /** One was let through here. */
  tell(drawn: DrawnRate): void;
  /** Calls back for each that was let through elsewhere. */
  onTold(listener: (drawn: DrawnRate) => void): void;
}

export interface DrawnRate {
  readonly rate: 'serviceOperation' | 'registration' | 'poll';
  readonly key: string;
}

export function createQuotas({
  numbers,
  clock,
  leastWaitSeconds,
  shared,
}: {
  readonly numbers: QuotaNumbers;
  readonly clock: Clock;
  /** What clients are told to wait at least. */
  readonly leastWaitSeconds: number;
  /** Absent where this process is the only one. */
  readonly shared?: SharedRates;
}): Quotas {
  const throttle = (count: number | undefined, per: Rate['per']) =>
    count === undefined ? undefined : createThrottle({ rate: { count, per }, clock, leastWaitSeconds });
  const throttles = {
    serviceOperation: throttle(numbers.serviceOperationsPerMinute, minutes(1)),
    registration: throttle(numbers.registrationsPerMinute, minutes(1)),
    poll: throttle(numbers.pollsPerTenSeconds, seconds(10)),
  };
  const headroom = new Map<string, number>();

  function draw(rate: DrawnRate['rate'], key: string): void {
    const throttle = throttles[rate];
    if (throttle === undefined) return;
    throttle.draw(key);
    shared?.tell({ rate, key });
  }
  shared?.onTold(({ rate, key }) => throttles[rate]?.drawnElsewhere(key));

  return {
    serviceOperation: (instance) => draw('serviceOperation', instance.toLowerCase()),
    registration: (instance) => draw('registration', instance.toLowerCase()),
    poll: (instance, registrationId) => draw('poll', JSON.stringify([instance.toLowerCase(), registrationId.toLowerCase()])),

    async take(thing, instance, count) {
      const limit = numbers[thing];
      if (limit === undefined) return;
      const key = JSON.stringify([thing, instance.toLowerCase()]);
      // What others have added since is not known here.
      const left = shared === undefined ? (headroom.get(key) ?? 0) : 0;
      if (left > 0) {
        headroom.set(key, left - 1);
        return;
      }
      const found = await count();
      if (found >= limit) throw new ServiceError('DpsQuotaExceeded', `The quota of ${words[thing]} is used up: it is ${limit}.`);
      // Counting a million rows takes as long as writing hundreds, so it is done again only when half of what was left may be gone.
      headroom.set(key, Math.floor((limit - found - 1) / 2));
    },
  };
}

function createThrottle({
  rate,
  clock,
  leastWaitSeconds,
}: {
  readonly rate: Rate;
  readonly clock: Clock;
  readonly leastWaitSeconds: number;
}): { draw(key: string): void; drawnElsewhere(key: string): void } {
  const buckets = new LRUCache<string, TokenBucket>({ max: keptBuckets });
  function take(key: string): ReturnType<typeof drawToken> {
    const now = clock.now();
    const drawn = drawToken(buckets.get(key) ?? fullBucket(rate, now), rate, now);
    buckets.set(key, drawn.bucket);
    return drawn;
  }
  return {
    draw(key) {
      const drawn = take(key);
      if (drawn.ok) return;
      const retryAfterSeconds = Math.max(leastWaitSeconds, Math.ceil(drawn.wait / 1000));
      // The words are Azure's (3.2).
      throw new ServiceError('Throttled', 'Operations are being throttled for this tenant.', { retryAfterSeconds });
    },
    drawnElsewhere: (key) => void take(key),
  };
}
