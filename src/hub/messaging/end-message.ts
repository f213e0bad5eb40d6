import type { FeedbackStatus } from '../../contracts/hub/message.ts';
import { renderTimestamp } from '../../contracts/timestamp.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { HubTransaction, QueuedMessageRow, SessionBus } from '../ports.ts';
import { wantsFeedback } from './message-rules.ts';
import { feedbackQueue } from './queues.ts';

/** A message leaves its queue for good; if its sender asked for it, a record says how. */
export async function endMessage(
  { transaction, bus, now }: { readonly transaction: HubTransaction; readonly bus: SessionBus; readonly now: Instant },
  row: QueuedMessageRow,
  status: FeedbackStatus,
): Promise<void> {
  await transaction.queues.remove(row);
  const { hub, deviceId } = row.queue;
  if (deviceId === undefined || !wantsFeedback(row.message, status)) return;
  const record = {
    originalMessageId: row.message.systemProperties['message-id'] ?? '',
    deviceGenerationId: row.generationId,
    deviceId,
    enqueuedTimeUtc: renderTimestamp(now),
    statusCode: status,
    description: status,
  };
  await transaction.feedback.append(hub, { recordedAt: now, record });
  transaction.afterCommit(() => bus.ring({ hub, about: 'queue', queue: feedbackQueue(hub).name }));
}
