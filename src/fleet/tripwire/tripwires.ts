import type { Tripwire } from '../../contracts/fleet/tripwire.ts';
import type { Page } from '../../kernel/page.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { isoTime } from '../iso-time.ts';
import type { FleetStorage, TripwireRow } from '../ports.ts';
import type { Fleet } from '../service.ts';
import { hintFor } from './note-attempt.ts';
import { retryAfterSeconds } from './retry-hint.ts';

/** What devices did after they were shut out, as operators see it. */
export function createTripwires({ storage }: { readonly storage: FleetStorage }): Fleet['tripwires'] {
  const { tripwires } = storage.read;
  return {
    async list(page) {
      if (page.after !== undefined && !/^\d{1,15}\//u.test(page.after))
        throw new ServiceError('ArgumentInvalid', 'That is no place in a list of tripwires: give what a page has as next.');
      const { items, next } = await tripwires.list(page);
      const shown: Page<Tripwire> = { items: items.map(tripwireOf), ...(next === undefined ? {} : { next }) };
      return shown;
    },
    async get(device) {
      const row = await tripwires.get(device);
      if (row !== undefined) return tripwireOf(row);
      throw new ServiceError('ResourceNotFound', `'${device.slice(0, 128)}' was not shut out, or has not tried to come back since.`);
    },
    retryHint: async (device, deny) => hintFor(await tripwires.get(device), deny),
  };
}

function tripwireOf({ firstAt, lastAt, ...row }: TripwireRow): Tripwire {
  return { ...row, firstAt: isoTime(firstAt), lastAt: isoTime(lastAt), retryAfterSeconds: retryAfterSeconds(row.attempts) };
}
