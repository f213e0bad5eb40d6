import { limits } from '../../contracts/limits.ts';
import { type Cancel, type Clock, type Instant, milliseconds, seconds } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { QueueId, SessionBus } from '../ports.ts';
import type { LockedMessage, MessageReceiver, MessageSink } from '../service.ts';
import { messageBytes, type Settlement } from './message-rules.ts';
import type { Room, Taken } from './take-messages.ts';

/** Where a receiver's messages come from, and go. */
export interface MessageSource {
  readonly queue: QueueId;
  /** Whether a look is worth a transaction; else when to look again, if time alone will make it so. */
  look(): Promise<{ readonly ready: boolean; readonly next?: Instant }>;
  take(room: Room): Promise<Taken>;
  settle(lockToken: string, settlement: Settlement): Promise<void>;
  /** Gives back what the receiver has not settled. */
  release(): Promise<void>;
}

interface ReceiverDeps {
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The most that one transaction locks: others write meanwhile. */
const batch = 16;
const pause = seconds(5);
/** These mean that the receiver's session is ending, for which others care. */
const endings: ReadonlySet<string> = new Set(['DeviceNotFound', 'DeviceDisabled', 'IotHubUnauthorized', 'ShuttingDown']);

/** Brings messages to a live sink: each under a lock that is committed before the sink sees it, as far as its credit goes. */
export function createReceiver(deps: ReceiverDeps, source: MessageSource, sink: MessageSink): MessageReceiver {
  return new Receiver(deps, source, sink);
}

class Receiver implements MessageReceiver {
  readonly #deps: ReceiverDeps;
  readonly #source: MessageSource;
  readonly #sink: MessageSink;
  readonly #stopListening: () => void;
  /** Handed to the sink and not settled, by lock token, in the order in which their locks end. */
  readonly #held = new Map<string, LockedMessage>();
  #heldBytes = 0;
  #credit = 0;
  #round: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #cancelTimer: Cancel = () => {};

  constructor(deps: ReceiverDeps, source: MessageSource, sink: MessageSink) {
    this.#deps = deps;
    this.#source = source;
    this.#sink = sink;
    const { hub, name } = source.queue;
    this.#stopListening = deps.bus.listen({ hub, about: 'queue', queue: name }, () => this.#wake());
  }

  setCredit(messages: number): void {
    const grows = messages > this.#credit;
    this.#credit = messages;
    if (grows) this.#wake();
  }

  async rest(): Promise<void> {
    while (this.#round !== undefined) await this.#round;
  }

  async settle(lockToken: string, settlement: Settlement): Promise<void> {
    try {
      await this.#source.settle(lockToken, settlement);
    } finally {
      // Whether it was settled or lost: it takes no room any more.
      this.#forget(lockToken);
      this.#wake();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#stop();
    await this.#round;
    await this.#source.release();
  }

  #stop(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#stopListening();
  }

  #wake(): void {
    this.#again = true;
    if (this.#closed || this.#round !== undefined) return;
    this.#round = this.#rounds().finally(() => {
      this.#round = undefined;
      if (this.#again) this.#wake();
    });
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        await this.#deliver();
      } catch (thrown) {
        this.#failed(thrown);
      }
    }
  }

  async #deliver(): Promise<void> {
    this.#endLocks();
    const room = { messages: Math.min(this.#credit, batch), bytes: limits.receiverBytes - this.#heldBytes };
    const hasRoom = room.messages > 0 && (room.bytes > 0 || this.#held.size === 0);
    const { ready, next } = hasRoom ? await this.#source.look() : { ready: false, next: undefined };
    if (this.#closed) return;
    if (!ready) return this.#lookAgainAt(next);
    const { messages, more } = await this.#source.take(room);
    if (more || messages.length > 0) this.#again = true;
    for (const message of messages) this.#hand(message);
  }

  #hand(message: LockedMessage): void {
    // Closed meanwhile: `release` gives it back.
    if (this.#closed) return;
    this.#held.set(message.lockToken, message);
    this.#heldBytes += messageBytes(message.message);
    this.#credit -= 1;
    this.#sink.deliver(message);
  }

  /** Locks that ended by themselves: the messages are anybody's again. */
  #endLocks(): void {
    const now = this.#deps.clock.now();
    for (const message of this.#held.values()) {
      if (message.lockedUntil > now) return;
      this.#forget(message.lockToken);
      this.#sink.lockEnded(message);
    }
  }

  #forget(lockToken: string): void {
    const message = this.#held.get(lockToken);
    if (message === undefined) return;
    this.#held.delete(lockToken);
    this.#heldBytes -= messageBytes(message.message);
  }

  #lookAgainAt(next: Instant | undefined): void {
    const [oldest] = this.#held.values();
    const moments = [next, oldest?.lockedUntil].filter((moment) => moment !== undefined);
    this.#cancelTimer();
    if (moments.length === 0) return;
    const span = milliseconds(Math.max(0, Math.min(...moments) - this.#deps.clock.now()));
    this.#cancelTimer = this.#deps.clock.after(span, () => this.#wake());
  }

  #failed(thrown: unknown): void {
    const { hub, name } = this.#source.queue;
    if (thrown instanceof ServiceError && endings.has(thrown.error)) {
      this.#deps.log.debug('messages.receiver.stopped', { hub, queue: name, error: thrown.error });
      this.#stop();
      return;
    }
    this.#deps.log.error('messages.receiver.failed', { hub, queue: name, error: thrown });
    this.#cancelTimer();
    this.#cancelTimer = this.#deps.clock.after(pause, () => this.#wake());
  }
}
