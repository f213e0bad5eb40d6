import { readFileSync } from 'node:fs';

import type { Config } from '../config/config.ts';
import { limits } from '../contracts/limits.ts';
import { openEventDelivery } from '../events/delivery.ts';
import { watchRefusals } from '../fleet/tripwire/watch-refusals.ts';
import { type Clock, hours, instant, seconds } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createTidying } from '../kernel/tidying.ts';
import { createEventWebhook } from '../outbound/event-webhook.ts';
import type { openDataFolder } from '../runtime/data-folder.ts';
import type { SqlStore } from '../stores/sql/store.ts';
import { secretOf } from './records.ts';

/** What keeps events within bounds, and sends them where that is configured. */
export interface Events {
  /** To be called after the commit of an event. */
  ring(): void;
  close(): Promise<void>;
}

/** Throws `ArgumentInvalid` for a secret that cannot be used. */
export async function openEvents(deps: {
  readonly store: SqlStore;
  readonly folder: ReturnType<typeof openDataFolder>;
  readonly webhook: Config['eventWebhook'];
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}): Promise<Events> {
  const { store, webhook, clock, log } = deps;
  const tidy = () =>
    store.write(async ({ events, tripwires }) => ({
      events: await events.prune({ before: daysAgo(clock, limits.eventDays), keep: limits.keptEvents }),
      tripwires: await tripwires.prune({ before: daysAgo(clock, limits.tripwireDays), keep: limits.keptTripwires }),
    }));
  const secret = webhook === undefined ? '' : readSecret(webhook, deps);
  const tidying = createTidying({ name: 'events', clock, log, rowsBetween: limits.eventsBetweenPrunes, tidy });
  await tidying.start();
  const patience = seconds(webhook?.timeoutSeconds ?? 0);
  const delivery =
    webhook &&
    openEventDelivery({ storage: store, webhook: createEventWebhook({ url: webhook.url, secret, clock, patience }), clock, log });
  return {
    ring() {
      tidying.onStored();
      delivery?.ring();
    },
    async close() {
      await Promise.all([tidying.close(), delivery?.close()]);
    },
  };
}

/** The same store, such that refusals are counted, and events ring. Every domain writes through it. */
export function armed(store: SqlStore, onEvent: () => void): Pick<SqlStore, 'read' | 'write'> {
  return {
    read: store.read,
    write: (work, cause) => store.write((transaction) => work(watchRefusals(transaction, onEvent)), cause),
  };
}

const daysAgo = (clock: Clock, days: number) => instant(clock.now() - hours(24 * days));

/** Enough for nobody to guess; what `openssl rand` makes is longer. */
const leastSecret = 16;

/** That of the operator, else one that the data folder keeps. */
function readSecret(
  { secretFile }: NonNullable<Config['eventWebhook']>,
  { folder, ids }: { readonly folder: ReturnType<typeof openDataFolder>; readonly ids: Ids },
): string {
  if (secretFile === undefined) return secretOf(folder, 'event-webhook-secret', ids);
  let text: string;
  try {
    text = readFileSync(secretFile, 'utf8').trim();
  } catch (error) {
    throw new ServiceError('ArgumentInvalid', `eventWebhook.secretFile ${secretFile} cannot be read: ${(error as Error).message}.`);
  }
  if (text.length >= leastSecret) return text;
  throw new ServiceError('ArgumentInvalid', `eventWebhook.secretFile ${secretFile} must hold ${leastSecret} characters or more.`);
}
