import type { EventKind, MusterEvent } from '../contracts/fleet/event.ts';
import type { Page } from '../kernel/page.ts';
import type { EventRow, EventStore } from './ports.ts';

/** Events as operators see them. */
export interface EventList {
  /** Newest first; `after` is the sequence number of the last one of the page before. */
  list(query: { readonly limit: number; readonly after?: string; readonly kind?: EventKind }): Promise<Page<MusterEvent>>;
}

export function createEventList({ events }: { readonly events: Pick<EventStore, 'newest'> }): EventList {
  return {
    async list({ limit, after, kind }) {
      const before = after === undefined ? {} : { before: Number(after) };
      const rows = await events.newest({ limit: limit + 1, ...before, ...(kind === undefined ? {} : { kind }) });
      const items = rows.slice(0, limit).map(renderEvent);
      const last = items.at(-1);
      return rows.length > limit && last !== undefined ? { items, next: String(last.sequence) } : { items };
    },
  };
}

/** As it is listed, and as a webhook gets it. */
export function renderEvent({ at, ...row }: EventRow): MusterEvent {
  return { ...row, at: new Date(at).toISOString() };
}
