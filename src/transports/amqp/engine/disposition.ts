import { rhea, type RheaDelivery } from './rhea.ts';

/**
 * Settles. rhea joins the dispositions of one turn into ranges, and takes the first one's state for that of the second
 * whatever it is: so none is joined unless it is the usual one.
 */
export function sayOutcome(delivery: RheaDelivery, state: unknown, writeNow: () => void): void {
  const usual = rhea.message.is_accepted(state);
  if (!usual) writeNow();
  delivery.update(true, state);
  if (!usual) writeNow();
}
