import type { LockedMessage, MessageReceiver } from '../../../hub/service.ts';
import type { Outcome, OutgoingDelivery } from '../engine/binding.ts';
import type { OutgoingMessage } from '../engine/message.ts';
import { guidBytes } from '../engine/values.ts';

/** What the outcomes of AMQP come to (hub chapter 4.6). */
const settlements = { accepted: 'complete', released: 'abandon', rejected: 'reject' } as const satisfies Record<Outcome, string>;

/** A locked message on its way; the tag is the lock token, by which C# settles. */
export function lockedDelivery(
  { lockToken }: LockedMessage,
  message: OutgoingMessage,
  receiver: () => Pick<MessageReceiver, 'settle'> | undefined,
): OutgoingDelivery {
  return {
    message,
    tag: guidBytes(lockToken),
    async decided(outcome) {
      await receiver()?.settle(lockToken, settlements[outcome]);
    },
  };
}
