import { LRUCache } from 'lru-cache';

import { type Clock, type Instant, minutes, plus } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Attempt } from './attempt.ts';
import { keepRefusal, type RefusalDependencies } from './keep-refusal.ts';
import type { Quotas } from './quotas.ts';

/** Rates of what devices ask, with a reason for whoever is told to wait. */
export interface Throttling {
  /** One more registration, or challenge, of an enrolled device. Throws `Throttled` with a tracking id. */
  registration(attempt: Attempt): Promise<void>;
  /** The same inside a transaction: what is to be called after it where there are too many, and throws as `registration` does. */
  drawRegistration(attempt: Attempt): (() => Promise<never>) | undefined;
  /** One more poll of a device. Throws `Throttled` with a tracking id. */
  poll(attempt: Attempt): Promise<void>;
}

/** Reasons are kept once for a device in so long: a flood that is told to wait must not write as much as one that is served. */
const window = minutes(1);
const keptDevices = 10_000;

interface Kept {
  readonly until: Instant;
  /** The tracking id under which the reason is, once it is written. */
  readonly trackingId: Promise<string>;
}

export function createThrottling({
  quotas,
  ...deps
}: RefusalDependencies & { readonly quotas: Quotas; readonly clock: Clock }): Throttling {
  const kept = new LRUCache<string, Kept>({ max: keptDevices });

  async function write({ request, trackingId, instance }: Attempt, sentence: string): Promise<string> {
    await keepRefusal(deps, { request, trackingId, instance: instance.name }, ['Throttled', 'quota', 'throttled', sentence]);
    return trackingId;
  }

  /** The tracking id of the window's first refusal, so that whatever the device logs resolves. */
  async function keep(attempt: Attempt, sentence: string): Promise<string> {
    const key = JSON.stringify([attempt.instance.name.toLowerCase(), attempt.request.registrationId.toLowerCase(), attempt.action]);
    const now = deps.clock.now();
    const first = kept.get(key);
    if (first !== undefined && now < first.until) return await first.trackingId;
    const trackingId = write(attempt, sentence);
    kept.set(key, { trackingId, until: plus(now, window) });
    return await trackingId;
  }

  /** `undefined` where there is room for one more. */
  function take(attempt: Attempt, what: string, draw: () => void): (() => Promise<never>) | undefined {
    try {
      draw();
      return undefined;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.error !== 'Throttled') throw error;
      const { message, retryAfterSeconds = 0 } = error;
      const sentence = `The rate of ${what} is used up. The device was told to wait ${retryAfterSeconds} seconds.`;
      return async () => {
        throw new ServiceError('Throttled', message, { retryAfterSeconds, trackingId: await keep(attempt, sentence) });
      };
    }
  }

  const takeRegistration = (attempt: Attempt) =>
    take(attempt, 'registrations of this instance', () => quotas.registration(attempt.instance.name));
  const takePoll = (attempt: Attempt) =>
    take(attempt, 'polls of one device', () => quotas.poll(attempt.instance.name, attempt.request.registrationId));
  return {
    drawRegistration: takeRegistration,
    registration: async (attempt) => takeRegistration(attempt)?.(),
    poll: async (attempt) => takePoll(attempt)?.(),
  };
}
