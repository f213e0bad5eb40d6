import type { OutboundMessage, Subscriptions, TrackedMessage } from './binding.ts';
import { encode } from './codec.ts';
import type { MqttLimits } from './limits.ts';
import { matchesTopic } from './topic-filter.ts';

/** SUBACK return codes (chapter 3.9.3); QoS 2 is never granted. */
export type Granted = 0 | 1 | 128;

/** What a waiting message costs beside its topic and payload. */
const overheadBytes = 256;

interface Waiting {
  readonly message: OutboundMessage;
  readonly tracked: Tracked | undefined;
}

/** What is known of a message that somebody waits for. */
interface Tracked {
  readonly acknowledged: () => void;
  /** Set once it was sent. */
  id?: number;
}

/**
 * Subscriptions of one client, and the messages on their way to it: at most `inflight` QoS 1 messages without a
 * PUBACK, the others wait in order. The owner watches `waitingBytes` and closes a client that does not keep up.
 */
export class Outbox {
  readonly #limits: Pick<MqttLimits, 'subscriptions' | 'inflight'>;
  readonly #write: (bytes: Buffer, onTaken?: () => void) => void;
  readonly #filters = new Map<string, 0 | 1>();
  readonly #inflight = new Map<number, Tracked | undefined>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #lastId = 0;

  constructor(limits: Pick<MqttLimits, 'subscriptions' | 'inflight'>, write: (bytes: Buffer, onTaken?: () => void) => void) {
    this.#limits = limits;
    this.#write = write;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get subscriptions(): Subscriptions {
    return this.#filters;
  }

  /** Replaces an equal filter [MQTT-3.8.4-3]; refuses a new one above the limit. */
  subscribe(filter: string, qos: 0 | 1 | 2): Granted {
    if (!this.#filters.has(filter) && this.#filters.size >= this.#limits.subscriptions) return 128;
    const granted = qos === 0 ? 0 : 1;
    this.#filters.set(filter, granted);
    return granted;
  }

  unsubscribe(filter: string): void {
    this.#filters.delete(filter);
  }

  /** Sends, queues, or drops for want of a subscription. */
  send(message: OutboundMessage): void {
    this.#pass(message, undefined);
  }

  /** As `send`; `undefined` when it was dropped. */
  track(message: OutboundMessage, acknowledged: () => void): TrackedMessage | undefined {
    const tracked: Tracked = { acknowledged };
    if (!this.#pass(message, tracked)) return undefined;
    return {
      again: () => {
        if (tracked.id !== undefined && this.#inflight.get(tracked.id) === tracked) this.#publish(message, tracked.id, true);
      },
    };
  }

  /** A PUBACK: an unknown identifier is ignored, a known one makes room. */
  acknowledged(messageId: number): void {
    const tracked = this.#inflight.get(messageId);
    if (!this.#inflight.delete(messageId)) return;
    tracked?.acknowledged();
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#waitingBytes -= costOf(next.message);
    this.#sendWithId(next);
  }

  #pass(message: OutboundMessage, tracked: Tracked | undefined): boolean {
    const granted = this.#grantedFor(message.topic);
    if (granted === undefined) return false;
    if ((message.qos ?? granted) === 0) {
      const { topic, payload } = message;
      this.#write(encode({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false }), tracked?.acknowledged);
    } else if (this.#inflight.size < this.#limits.inflight) this.#sendWithId({ message, tracked });
    else this.#queue({ message, tracked });
    return true;
  }

  #queue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#waitingBytes += costOf(waiting.message);
  }

  #sendWithId({ message, tracked }: Waiting): void {
    do this.#lastId = (this.#lastId % 0xff_ff) + 1;
    while (this.#inflight.has(this.#lastId));
    this.#inflight.set(this.#lastId, tracked);
    if (tracked !== undefined) tracked.id = this.#lastId;
    this.#publish(message, this.#lastId, false);
  }

  #publish({ topic, payload }: OutboundMessage, messageId: number, dup: boolean): void {
    this.#write(encode({ cmd: 'publish', topic, payload, qos: 1, messageId, dup, retain: false }));
  }

  /** The highest QoS of the subscriptions that match; overlapping ones get one copy [MQTT-3.3.5-1]. */
  #grantedFor(topic: string): 0 | 1 | undefined {
    let best: 0 | 1 | undefined;
    for (const [filter, qos] of this.#filters) {
      if (best !== 1 && matchesTopic(filter, topic)) best = qos;
    }
    return best;
  }
}

const costOf = (message: OutboundMessage): number => message.topic.length + message.payload.length + overheadBytes;
