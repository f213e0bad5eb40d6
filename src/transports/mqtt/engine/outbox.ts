import type { OutboundMessage } from './binding.ts';
import { encode } from './codec.ts';
import type { MqttLimits } from './limits.ts';
import { matchesTopic } from './topic-filter.ts';

/** SUBACK return codes (chapter 3.9.3); QoS 2 is never granted. */
export type Granted = 0 | 1 | 128;

/** What a waiting message costs beside its topic and payload. */
const overheadBytes = 256;

/**
 * Subscriptions of one client, and the messages on their way to it: at most `inflight` QoS 1 messages without a
 * PUBACK, the others wait in order. The owner watches `waitingBytes` and closes a client that does not keep up.
 */
export class Outbox {
  readonly #limits: Pick<MqttLimits, 'subscriptions' | 'inflight'>;
  readonly #write: (bytes: Buffer) => void;
  readonly #filters = new Map<string, 0 | 1>();
  readonly #inflight = new Set<number>();
  #waiting: OutboundMessage[] = [];
  #waitingBytes = 0;
  #lastId = 0;

  constructor(limits: Pick<MqttLimits, 'subscriptions' | 'inflight'>, write: (bytes: Buffer) => void) {
    this.#limits = limits;
    this.#write = write;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
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
    const qos = this.#grantedFor(message.topic);
    if (qos === undefined) return;
    if (qos === 0) this.#write(encode({ cmd: 'publish', ...message, qos, dup: false, retain: false }));
    else if (this.#inflight.size < this.#limits.inflight) this.#sendWithId(message);
    else this.#queue(message);
  }

  /** A PUBACK: an unknown identifier is ignored, a known one makes room. */
  acknowledged(messageId: number): void {
    if (!this.#inflight.delete(messageId)) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#waitingBytes -= costOf(next);
    this.#sendWithId(next);
  }

  #queue(message: OutboundMessage): void {
    this.#waiting.push(message);
    this.#waitingBytes += costOf(message);
  }

  #sendWithId(message: OutboundMessage): void {
    do this.#lastId = (this.#lastId % 0xff_ff) + 1;
    while (this.#inflight.has(this.#lastId));
    this.#inflight.add(this.#lastId);
    this.#write(encode({ cmd: 'publish', ...message, qos: 1, messageId: this.#lastId, dup: false, retain: false }));
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
