import { limits } from '../contracts/limits.ts';
import type { Refusal } from '../contracts/fleet/refusal.ts';
import type { Page } from '../kernel/page.ts';
import { createWaiter } from '../kernel/waiter.ts';
import type { RefusalFilter, RefusalRow, RefusalStore } from './ports.ts';

/** What a follower gets: refusals in their order, and the word that it has fallen behind, after which nothing comes. */
export type FeedEvent =
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  /** `from` is where it was, `to` where it would have to go on; what lies between is in the list, as far as it is kept. */
  | { readonly kind: 'fell-behind'; readonly from: number; readonly to: number };

export interface FollowOptions {
  /** The last one that the follower has had; absent, only new ones come. */
  readonly after?: number;
  readonly filter?: RefusalFilter;
  readonly signal: AbortSignal;
}

/** Devices that were not let in, as it happens, over both domains. */
export interface RefusalFeed {
  /** Ends when `signal` aborts, or with `fell-behind`. Whoever goes on later loses nothing that is still kept. */
  follow(options: FollowOptions): AsyncIterable<FeedEvent>;
  /** Newest first; `after` is the sequence number of the last one of the page before. */
  list(query: { readonly limit: number; readonly after?: string; readonly filter?: RefusalFilter }): Promise<Page<Refusal>>;
}

/** The feed, and the bell that whoever has stored a refusal rings after the commit. */
export interface OwnRefusalFeed extends RefusalFeed {
  ring(): void;
}

/** Read at once; a follower that takes nothing holds no more than these. */
const pageSize = 100;

/** What follows is read from the store, so that nobody's pace costs anybody memory, and a lost stream can be taken up. */
export function createRefusalFeed({ refusals }: { readonly refusals: Omit<RefusalStore, 'append' | 'prune'> }): OwnRefusalFeed {
  const waiting = new Set<() => void>();
  return {
    ring: () => {
      for (const wake of waiting) wake();
    },
    follow: (options) => follow({ refusals, waiting }, options),
    async list({ limit, after, filter }) {
      const before = after === undefined ? {} : { before: Number(after) };
      const rows = await refusals.newest({ limit: limit + 1, ...before, ...(filter === undefined ? {} : { filter }) });
      const items = rows.slice(0, limit).map(refusalOf);
      const last = items.at(-1);
      return rows.length > limit && last !== undefined ? { items, next: String(last.sequence) } : { items };
    },
  };
}

async function* follow(
  { refusals, waiting }: { readonly refusals: Omit<RefusalStore, 'append' | 'prune'>; readonly waiting: Set<() => void> },
  { after, filter, signal }: FollowOptions,
): AsyncGenerator<FeedEvent> {
  // Before the first read, so that nothing that is stored in between goes unheard.
  const bell = createWaiter();
  waiting.add(bell.ring);
  signal.addEventListener('abort', bell.ring);
  try {
    let position = after ?? (await refusals.bounds()).last;
    while (!signal.aborted) {
      const { first, last } = await refusals.bounds();
      if (isBehind(position, { first, last })) {
        yield { kind: 'fell-behind', from: position, to: last };
        return;
      }
      const page = await refusals.after(position, { limit: pageSize, ...(filter === undefined ? {} : { filter }) });
      yield* untilAborted(page, signal);
      // A full page may not be the last; after any other, everything up to `last` has been looked through.
      position = page.length === pageSize ? (page.at(-1)?.sequence ?? position) : Math.max(page.at(-1)?.sequence ?? 0, position, last);
      if (page.length < pageSize) await bell.next();
    }
  } finally {
    waiting.delete(bell.ring);
    signal.removeEventListener('abort', bell.ring);
  }
}

function* untilAborted(page: readonly RefusalRow[], signal: AbortSignal): Generator<FeedEvent> {
  for (const row of page) {
    if (signal.aborted) return;
    yield { kind: 'refusal', refusal: refusalOf(row) };
  }
}

/** What came in between was forgotten, or it is so much that nobody would read it. */
function isBehind(position: number, { first, last }: { readonly first: number; readonly last: number }): boolean {
  return position < last && (first > position + 1 || last - position > limits.refusalsBehind);
}

function refusalOf(row: RefusalRow): Refusal {
  return { ...row, at: new Date(row.at).toISOString() };
}
