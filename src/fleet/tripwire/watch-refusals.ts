import type { EventSink } from '../../events/ports.ts';
import type { RefusalStore } from '../../refusals/ports.ts';
import { noteAttempt, type TripwireTransaction } from './note-attempt.ts';

type Watched = TripwireTransaction & {
  readonly refusals: Pick<RefusalStore, 'append'>;
  readonly events: EventSink;
  afterCommit(effect: () => void): void;
};

/** The same transaction, such that each refusal that it stores is counted, and `onEvent` is called after the commit of each event. */
export function watchRefusals<T extends Watched>(transaction: T, onEvent: () => void): T {
  const { refusals } = transaction;
  const events: T['events'] = {
    ...transaction.events,
    append: async (event) => {
      const sequence = await transaction.events.append(event);
      transaction.afterCommit(onEvent);
      return sequence;
    },
  };
  const append: RefusalStore['append'] = async (refusal) => {
    const sequence = await refusals.append(refusal);
    await noteAttempt({ ...transaction, events }, refusal);
    return sequence;
  };
  return { ...transaction, events, refusals: { ...refusals, append } };
}
