import type { Topic, Topics } from '../../bus/topics.ts';
import type { PendingAllocations } from '../../provisioning/pending-allocations.ts';
import type { DrawnRate, SharedRates } from '../../provisioning/quotas.ts';

/** Says that there is something new in the store. */
interface Notice {
  ring(): void;
  onRing(listener: () => void): void;
}

/** What the processes of a service tell each other, besides who is connected. */
export interface Notices {
  readonly refusal: Notice;
  readonly event: Notice;
  readonly rates: SharedRates;
  readonly allocations: AllocationNotices;
}

/** Workers register devices; the service asks the webhooks, so that their queue and its bounds are one. */
export interface AllocationNotices {
  /** What a worker has instead of a queue. */
  readonly ask: Pick<PendingAllocations, 'start' | 'isFull'>;
  onAsked(allocate: PendingAllocations['start']): void;
  tellFullness(origin: string, isFull: boolean): void;
}

export function createNotices(topics: Topics): Notices {
  return {
    refusal: createNotice(topics.topic('refusal')),
    event: createNotice(topics.topic('event')),
    rates: createSharedRates(topics.topic('rates')),
    allocations: createAllocationNotices(topics.topic('allocations')),
  };
}

/** However often it rings in a turn, it is told once. */
function createNotice(topic: Topic): Notice {
  let isRinging = false;
  return {
    ring() {
      if (isRinging) return;
      isRinging = true;
      setImmediate(() => {
        isRinging = false;
        topic.tell('ring');
      });
    },
    onRing: (listener) => topic.onMessage(listener),
  };
}

function createSharedRates(topic: Topic): SharedRates {
  return {
    tell: (drawn) => topic.tell(drawn),
    onTold: (listener) =>
      topic.onMessage((from, drawn) => {
        if (from !== topic.self) listener(drawn as DrawnRate);
      }),
  };
}

type AllocationNotice =
  | { readonly kind: 'asked'; readonly operation: Parameters<PendingAllocations['start']>[0]; readonly origin?: string }
  | { readonly kind: 'fullness'; readonly origin: string; readonly isFull: boolean };

function createAllocationNotices(topic: Topic): AllocationNotices {
  const full = new Set<string>();
  const tell = (notice: AllocationNotice): void => topic.tell(notice);
  topic.onMessage((_from, notice) => {
    const told = notice as AllocationNotice;
    if (told.kind !== 'fullness') return;
    if (told.isFull) full.add(told.origin);
    else full.delete(told.origin);
  });
  return {
    ask: {
      isFull: (origin) => full.has(origin),
      // The operation is committed: should this process die before it is heard, the service finds it in the store.
      start: ({ instance, operationId }, origin) =>
        tell({ kind: 'asked', operation: { instance, operationId }, ...(origin === undefined ? {} : { origin }) }),
    },
    onAsked: (allocate) =>
      topic.onMessage((_from, notice) => {
        const told = notice as AllocationNotice;
        if (told.kind === 'asked') allocate(told.operation, told.origin);
      }),
    tellFullness: (origin, isFull) => tell({ kind: 'fullness', origin, isFull }),
  };
}
