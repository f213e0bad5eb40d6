import type { Instant } from '../../kernel/clock.ts';
import type { HubTransaction, MessageLock, QueuedMessageRow, QueueId, SessionBus } from '../ports.ts';
import type { LockedMessage } from '../service.ts';
import { endMessage } from './end-message.ts';
import { found, messageBytes } from './message-rules.ts';

/** How much a receiver takes at once. */
export interface Room {
  readonly messages: number;
  /** The first message is taken even if it is larger. */
  readonly bytes: number;
}

export interface Taken {
  readonly messages: readonly LockedMessage[];
  /** Whether there may be more for the asking. */
  readonly more: boolean;
}

/** Locks messages in order; those whose time or deliveries are over end here. */
export async function takeMessages(
  step: { readonly transaction: HubTransaction; readonly bus: SessionBus; readonly now: Instant },
  queue: QueueId,
  { room, lock }: { readonly room: Room; readonly lock: () => MessageLock },
): Promise<Taken> {
  const { transaction, now } = step;
  const rows = await transaction.queues.free(queue, { now, limit: room.messages });
  const messages: LockedMessage[] = [];
  let bytes = 0;
  for (const row of rows) {
    const fate = found(row, now);
    if (fate.kind === 'ended') {
      await endMessage(step, row, fate.status);
      continue;
    }
    bytes += messageBytes(row.message);
    if (bytes > room.bytes && messages.length > 0) return { messages, more: false };
    const given = lock();
    await transaction.queues.mark(row, { deliveryCount: fate.deliveryCount, lock: given });
    messages.push(lockedMessage(row, fate.deliveryCount, given));
  }
  return { messages, more: rows.length === room.messages };
}

function lockedMessage(row: QueuedMessageRow, deliveryCount: number, { token, until }: MessageLock): LockedMessage {
  const { message, sequenceNumber, enqueuedAt, expiresAt } = row;
  return { message, sequenceNumber, enqueuedAt, expiresAt, deliveryCount, lockToken: token, lockedUntil: until };
}
