import { ackModes, type AckMode, type CloudToDeviceMessage, type FeedbackStatus } from '../../contracts/hub/message.ts';
import { limits } from '../../contracts/limits.ts';
import { type Instant, instant, plus, seconds } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { QueuedMessageRow } from '../ports.ts';

/** How a receiver ends its lock on a message (chapters 4.6 and 5). */
export type Settlement = 'complete' | 'abandon' | 'reject';

/** What becomes of a message: it is gone with this word for its sender, or it waits again. */
export type Fate =
  | { readonly kind: 'ended'; readonly status: FeedbackStatus }
  | { readonly kind: 'waiting'; readonly deliveryCount: number };

/** Of a message that somebody has locked and settles. */
export function settled(message: QueuedMessageRow, settlement: Settlement): Fate {
  if (settlement === 'complete') return { kind: 'ended', status: 'Success' };
  if (settlement === 'reject') return { kind: 'ended', status: 'Rejected' };
  return returned(message);
}

/** Of a message that nobody has locked at `now`; a lock that ended by itself counts as a return (chapter 7.1). */
export function found(message: QueuedMessageRow, now: Instant): Fate {
  if (message.expiresAt <= now) return { kind: 'ended', status: 'Expired' };
  return message.lock === undefined ? { kind: 'waiting', deliveryCount: message.deliveryCount } : returned(message);
}

function returned({ deliveryCount }: QueuedMessageRow): Fate {
  const count = deliveryCount + 1;
  if (count >= limits.messageDeliveries) return { kind: 'ended', status: 'DeliveryCountExceeded' };
  return { kind: 'waiting', deliveryCount: count };
}

/** Whether the lock with this token still holds. */
export function holds(message: QueuedMessageRow, now: Instant): boolean {
  return message.lock !== undefined && message.lock.until > now;
}

/** Whether the sender asked to hear of this end. */
export function wantsFeedback({ systemProperties }: CloudToDeviceMessage, status: FeedbackStatus): boolean {
  const ack = parseAck(systemProperties['iothub-ack']);
  return ack === 'full' || ack === (status === 'Success' ? 'positive' : 'negative');
}

/** Bytes of a message as the quota counts them: body and properties. */
export function messageBytes({ body, systemProperties, applicationProperties }: CloudToDeviceMessage): number {
  const properties = [...Object.entries(systemProperties), ...Object.entries(applicationProperties)];
  return properties.reduce((sum, [name, value]) => sum + byteLength(name) + byteLength(value), body.length);
}

const byteLength = (text: string): number => Buffer.byteLength(text);

/** When a message that is sent at `now` expires. Throws what is wrong with the message. */
export function checkSendable(message: CloudToDeviceMessage, now: Instant): Instant {
  const bytes = messageBytes(message);
  if (bytes > limits.cloudToDeviceBytes) {
    throw new ServiceError(
      'MessageTooLarge',
      `A message to a device has at most ${limits.cloudToDeviceBytes} bytes; this one has ${bytes}.`,
    );
  }
  if (parseAck(message.systemProperties['iothub-ack']) === undefined) {
    throw new ServiceError('ArgumentInvalid', `The property iothub-ack must be one of ${ackModes.join(', ')}.`);
  }
  return readExpiry(message.systemProperties['absolute-expiry-time'], now);
}

function readExpiry(text: string | undefined, now: Instant): Instant {
  if (text === undefined || text === '') return plus(now, seconds(limits.messageLifeSeconds));
  const expiresAt = Date.parse(text);
  if (Number.isNaN(expiresAt)) throw new ServiceError('InvalidMessageExpiryTime', 'The expiry time of the message is not a date.');
  if (expiresAt <= now) throw new ServiceError('InvalidMessageExpiryTime', 'The expiry time of the message has passed.');
  return instant(Math.min(expiresAt, plus(now, seconds(limits.messageLifeMostSeconds))));
}

/** `undefined` for a word that is none; senders write them in any case, and leave out `none`. */
function parseAck(text: string | undefined): AckMode | undefined {
  if (text === undefined || text === '') return 'none';
  return ackModes.find((mode) => mode === text.toLowerCase());
}
