import type { Instant } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { HubTransaction, QueueId, SessionBus } from '../ports.ts';
import { endMessage } from './end-message.ts';
import { holds, settled, type Settlement } from './message-rules.ts';

/** Throws `DeviceMessageLockLost` when the token locks nothing any more. */
export async function settleMessage(
  step: { readonly transaction: HubTransaction; readonly bus: SessionBus; readonly now: Instant },
  queue: QueueId,
  { lockToken, settlement }: { readonly lockToken: string; readonly settlement: Settlement },
): Promise<void> {
  const { transaction, bus, now } = step;
  const row = await transaction.queues.locked(queue, lockToken);
  if (row === undefined || !holds(row, now)) {
    throw new ServiceError('DeviceMessageLockLost', 'No message is locked under this token: it was settled, or its lock has ended.');
  }
  const fate = settled(row, settlement);
  if (fate.kind === 'ended') return endMessage(step, row, fate.status);
  await transaction.queues.mark(row, { deliveryCount: fate.deliveryCount });
  transaction.afterCommit(() => bus.ring({ hub: queue.hub, about: 'queue', queue: queue.name }));
}
