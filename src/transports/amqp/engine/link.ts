import { ServiceError } from '../../../kernel/service-error.ts';
import { type AmqpError, errorFields } from './amqp-error.ts';
import type { AmqpLink, LinkHandler, Outcome, OutgoingDelivery } from './binding.ts';
import { dropUnfinished, PeerFault } from './frame-guards.ts';
import { type AmqpMessage, decodeMessage, encodeMessage, type OutgoingMessage } from './message.ts';
import {
  type Performative,
  rhea,
  type RheaContext,
  type RheaDelivery,
  type RheaFrame,
  type RheaLink,
  type RheaSession,
  type Typed,
} from './rhea.ts';
import { type AmqpValue, plainMap } from './values.ts';

/** What a link needs of its connection. */
export interface LinkOwner {
  readonly credit: number;
  readonly queuedMessages: number;
  /** The link of ours that belongs to one of rhea's. */
  readonly linkOf: (link: RheaLink) => PeerLink | undefined;
  readonly tag: () => Buffer;
  readonly renderError: (thrown: unknown) => AmqpError;
  /** Counts bytes of deliveries being handled, up and down; reading stops while there are too many. */
  readonly inflight: (bytes: number) => void;
  /** Counts bytes of deliveries that have begun and not ended, up and down. Throws when the connection has too many. */
  readonly unfinished: (bytes: number) => void;
  /** Counts bytes that wait for the credit of the peer, up and down. */
  readonly waiting: (bytes: number) => void;
  /** Whether no more work is to be taken on now. */
  readonly isBusy: () => boolean;
  readonly outboundBytes: number;
  readonly tooSlow: () => void;
  readonly wake: () => void;
  /** Writes what is due without waiting for the end of this turn. */
  readonly writeNow: () => void;
}

/** Of senders, and of receivers (AMQP 1.0 part 2.8.2 and 2.8.3). */
const unsettledMode = 0;
const settledMode = 1;
const firstMode = 0;
/** What a frame of an unfinished delivery costs beside its payload, which may be empty. */
const frameBytes = 128;
const empty = Buffer.alloc(0);

/** A message on its way to the peer; without a delivery nobody waits for a decision. */
interface Queued {
  readonly bytes: Buffer;
  readonly delivery?: OutgoingDelivery;
}

/** What rhea calls an outcome, and what it comes to. */
const outcomes: Readonly<Record<string, Outcome>> = {
  accepted: 'accepted',
  released: 'released',
  modified: 'released',
  rejected: 'rejected',
};

/** One link, from its peer's ATTACH to its end. */
export class PeerLink implements AmqpLink {
  readonly name: string;
  readonly peerIs: 'sender' | 'receiver';
  readonly address: string;
  readonly peerAddress: string;
  readonly properties: ReadonlyMap<string, AmqpValue>;
  readonly #owner: LinkOwner;
  readonly #asked: Performative;
  #rhea: RheaLink | undefined;
  #handler: LinkHandler | undefined;
  #refusal: AmqpError | undefined;
  #closed = false;
  /** Of the delivery that is coming in. */
  #incoming = { format: 0, size: 0, aborted: false };
  /** What was counted as unfinished for it. */
  #held = 0;
  #handling = 0;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  #handedOver: RheaDelivery[] = [];
  /** Those that the peer has to decide about. */
  readonly #undecided = new Map<RheaDelivery, OutgoingDelivery>();
  /** Those whose decision is being carried out. */
  readonly #deciding = new WeakSet<RheaDelivery>();

  /** Copies what it needs of the performative: rhea rewrites the termini. */
  constructor(attach: Performative, owner: LinkOwner) {
    this.#owner = owner;
    this.#asked = {
      source: attach['source'],
      target: attach['target'],
      snd: attach['snd_settle_mode'],
      rcv: attach['rcv_settle_mode'],
    };
    this.name = String(attach['name']);
    this.peerIs = attach['role'] === true ? 'receiver' : 'sender';
    const [ours, theirs] = this.peerIs === 'sender' ? (['target', 'source'] as const) : (['source', 'target'] as const);
    this.address = addressOf(attach[ours]);
    this.peerAddress = addressOf(attach[theirs]);
    this.properties = propertiesOf(attach);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Lets the link in: the reply echoes the termini and settle modes (hub chapter 4.4). */
  accept(link: RheaLink, handler: LinkHandler): void {
    this.#rhea = link;
    this.#handler = handler;
    if (this.#refusal !== undefined) return this.#refuse(this.#refusal);
    const { attach } = link.local;
    attach['source'] = this.#asked['source'];
    attach['target'] = this.#asked['target'];
    attach['max_message_size'] = handler.maxMessageBytes;
    if (isSettleMode(this.#asked['snd'])) attach['snd_settle_mode'] = this.#asked['snd'];
    // As the receiver we always settle first: nothing is held back for a second disposition.
    if (isSettleMode(this.#asked['rcv'])) attach['rcv_settle_mode'] = this.peerIs === 'receiver' ? this.#asked['rcv'] : firstMode;
    this.#listen(link);
    if (this.peerIs === 'sender') link.add_credit(this.#owner.credit);
  }

  /** ATTACH with null termini, then DETACH with the error: what C# takes for a refusal (hub chapter 4.4). */
  refuse(link: RheaLink, error: AmqpError): void {
    this.#rhea = link;
    this.#refuse(error);
  }

  detach(error: AmqpError): void {
    if (this.#closed) return;
    if (this.#rhea === undefined) {
      this.#refusal ??= error;
      return;
    }
    this.#rhea.close(errorFields(error));
    this.gone();
  }

  /** The link is over, whoever ended it. */
  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.waiting(-this.#queuedBytes);
    this.#queuedBytes = 0;
    this.#queue.length = 0;
    this.#letGo();
    // Or they would stay in the session's books for as long as it lasts.
    for (const delivery of this.#undecided.keys()) delivery.settled = delivery.remote_settled = true;
    this.#undecided.clear();
    this.#handler?.closed?.();
  }

  /**
   * Looks at a TRANSFER before rhea keeps its payload. rhea bounds neither the size of a message in many frames nor
   * what comes without credit, and takes an aborted one for whole.
   */
  admit(frame: RheaFrame): void {
    const { performative } = frame;
    if (this.peerIs === 'receiver') throw new PeerFault('amqp:not-allowed', 'A message was sent on a link that only receives.');
    frame.payload ??= empty;
    if (this.#rhea?._incomplete === undefined) this.#begin(performative);
    // Without a format rhea hands over the bytes as they are; it would lose the types of ids otherwise.
    performative['message_format'] = undefined;
    this.#incoming.size += frame.payload.length;
    if (performative['aborted'] === true) this.#incoming.aborted = true;
    const most = this.#handler?.maxMessageBytes ?? 0;
    if (this.#incoming.size > most) {
      this.detach({ condition: 'amqp:link:message-size-exceeded', description: `A message on this link has at most ${most} bytes.` });
    }
    if (this.#closed || this.#incoming.aborted) {
      frame.payload = empty;
      dropUnfinished(this.#rhea);
      this.#letGo();
    } else {
      const cost = frame.payload.length + frameBytes;
      this.#held += cost;
      this.#owner.unfinished(cost);
    }
  }

  /** The books of a session are half full, and its oldest delivery holds up all others, whatever link it is on. */
  #takeBackOldest({ outgoing }: RheaSession): void {
    const oldest = outgoing.deliveries.get_head();
    if (oldest !== undefined && oldest.id < outgoing.next_pending_delivery) this.#owner.linkOf(oldest.link)?.takeBack(oldest);
  }

  /** Stops waiting for a decision: as if the peer had released the message, and it is told so. */
  takeBack(delivery: RheaDelivery): void {
    if (this.#decide(delivery, 'released')) return;
    delivery.update(true);
    delivery.remote_settled = true;
  }

  send(message: OutgoingMessage): void {
    this.#enqueue({ bytes: encodeMessage(message) });
  }

  deliver(delivery: OutgoingDelivery): void {
    this.#enqueue({ bytes: encodeMessage(delivery.message), delivery });
  }

  #enqueue(message: Queued): void {
    if (this.#closed) return;
    this.#queue.push(message);
    this.#wait(message.bytes.length);
    this.#flush();
    const { queuedMessages, outboundBytes } = this.#owner;
    if (this.#queue.length + this.#handedOver.length > queuedMessages || this.#queuedBytes > outboundBytes) this.#owner.tooSlow();
  }

  #wait(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#owner.waiting(bytes);
  }

  #letGo(): void {
    this.#owner.unfinished(-this.#held);
    this.#held = 0;
  }

  #begin(performative: Performative): void {
    const format = performative['message_format'];
    this.#incoming = { format: typeof format === 'number' ? format : 0, size: 0, aborted: false };
    const link = this.#rhea;
    if (link === undefined || link.credit > 0) return;
    this.detach({ condition: 'amqp:link:transfer-limit-exceeded', description: 'A message was sent without credit.' });
    link.credit = 1;
  }

  #refuse(error: AmqpError): void {
    this.#rhea?.close(errorFields(error));
    this.gone();
  }

  #listen(link: RheaLink): void {
    link.on('message', (context) => this.#arrived(context));
    link.on('sendable', () => this.#flush());
    link.on('sender_flow', () => this.#tellCredit());
    const role = link.is_receiver() ? 'receiver' : 'sender';
    for (const event of ['close', 'error']) link.on(`${role}_${event}`, () => this.gone());
    // A peer in settle mode `second` waits for us to settle what it decided.
    for (const [name, outcome] of Object.entries(outcomes)) {
      link.on(name, ({ delivery }) => {
        if (delivery !== undefined && !this.#decide(delivery, outcome) && !delivery.remote_settled) delivery.update(true);
      });
    }
    // Settled without a word about what became of it.
    link.on('settled', ({ delivery }) => {
      if (delivery !== undefined) this.#decide(delivery, 'released');
    });
  }

  /** Passes a decision on, once; returns whether somebody waited for it. */
  #decide(delivery: RheaDelivery, outcome: Outcome): boolean {
    const waiting = this.#undecided.get(delivery);
    if (waiting === undefined) return this.#deciding.has(delivery);
    this.#undecided.delete(delivery);
    this.#deciding.add(delivery);
    void waiting
      .decided(outcome)
      .then(
        () => rhea.message[outcome]({}).described(),
        (thrown: unknown) => rhea.message.rejected({ error: errorFields(this.#owner.renderError(thrown)) }).described(),
      )
      .then((state) => {
        if (!this.#closed) this.#say(delivery, state);
        // Nothing that the peer says of it counts any more.
        delivery.settled = delivery.remote_settled = true;
        return this.#owner.wake();
      });
    return true;
  }

  #arrived({ message: bytes, delivery }: RheaContext): void {
    if (delivery === undefined) return;
    this.#letGo();
    const { format, aborted } = this.#incoming;
    if (this.#closed || aborted || !Buffer.isBuffer(bytes)) {
      delivery.settled = true;
      this.#owner.wake();
      return;
    }
    this.#handling += 1;
    this.#owner.inflight(bytes.length);
    void this.#handle(bytes, format)
      .then(
        () => rhea.message.accepted(),
        (thrown: unknown) => rhea.message.rejected({ error: errorFields(this.#owner.renderError(thrown)) }),
      )
      .then((outcome) => this.#settle(delivery, outcome.described(), bytes.length));
  }

  async #handle(bytes: Buffer, format: number): Promise<void> {
    const message = decode(bytes);
    if (this.#owner.isBusy()) throw new ServiceError('ServerBusy', 'The service buffers as much as it may. Try again later.');
    await this.#handler?.message?.({ message, format, size: bytes.length });
  }

  /**
   * Settles. rhea joins the dispositions of one turn into ranges, and takes the first one's state for that of the second
   * whatever it is: so none is joined unless it is the usual one.
   */
  #say(delivery: RheaDelivery, state: unknown): void {
    const usual = rhea.message.is_accepted(state);
    if (!usual) this.#owner.writeNow();
    delivery.update(true, state);
    if (!usual) this.#owner.writeNow();
  }

  #settle(delivery: RheaDelivery, outcome: unknown, bytes: number): void {
    this.#handling -= 1;
    if (this.#closed) delivery.settled = true;
    else this.#say(delivery, outcome);
    const link = this.#rhea;
    const missing = link === undefined ? 0 : this.#owner.credit - link.credit - this.#handling;
    // In batches: a FLOW for every message would double the traffic.
    if (!this.#closed && missing >= this.#owner.credit / 4) link?.add_credit(missing);
    this.#owner.inflight(-bytes);
  }

  /** rhea sends in order over all links of a session: one without credit would hold up the others, so messages wait here. */
  #flush(): void {
    const link = this.#rhea;
    if (link === undefined || this.#closed) return;
    const { outgoing } = link.session;
    this.#handedOver = this.#handedOver.filter((delivery) => {
      const pending = delivery.id >= outgoing.next_pending_delivery;
      // Unsettled deliveries stay with rhea; their bytes need not.
      if (!pending) delivery.data = [];
      return pending;
    });
    if (outgoing.available() < outgoing.deliveries.capacity / 2) this.#takeBackOldest(link.session);
    while (this.#queue.length > 0 && link.credit > this.#handedOver.length && outgoing.available() > 0) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#wait(-next.bytes.length);
      this.#handOver(link, next);
    }
  }

  #handOver(link: RheaLink, { bytes, delivery: waiting }: Queued): void {
    const delivery = link.send(bytes, waiting?.tag ?? this.#owner.tag(), 0);
    this.#handedOver.push(delivery);
    const mode = link.local.attach['snd_settle_mode'];
    // Whatever the peer does not insist on having unsettled is settled as it leaves (hub chapter 4.7, DPS 1.6.4).
    delivery.settled = mode === settledMode || (waiting === undefined && mode !== unsettledMode);
    if (waiting === undefined) return;
    if (delivery.settled) void waiting.decided('accepted').catch((thrown: unknown) => this.#owner.renderError(thrown));
    else this.#undecided.set(delivery, waiting);
  }

  /** What the peer takes beyond what is on its way already. */
  #tellCredit(): void {
    this.#flush();
    const credit = (this.#rhea?.credit ?? 0) - this.#handedOver.length - this.#queue.length;
    if (!this.#closed) this.#handler?.credit?.(Math.max(0, credit));
  }
}

const isSettleMode = (value: unknown): boolean => value === 0 || value === 1 || value === 2;

/** Bytes that are no message are the peer's mistake, and its link goes on. */
function decode(bytes: Buffer): AmqpMessage {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    throw new ServiceError('ArgumentInvalid', 'This is not a well-formed AMQP message.', { detail: String(error) });
  }
}

/** A terminus is a described list whose first field is the address; anything else than text is no address. */
function addressOf(terminus: unknown): string {
  const fields = (terminus as Typed | null | undefined)?.value;
  const address = Array.isArray(fields) ? (fields as readonly Typed[])[0]?.value : undefined;
  return typeof address === 'string' ? address : '';
}

function propertiesOf(attach: Performative): ReadonlyMap<string, AmqpValue> {
  // The last field of the performative, read without its accessor, which would drop the types (part 2.7.3).
  const typed = (attach as { readonly value?: readonly Typed[] }).value?.[13];
  return Array.isArray(typed?.value) ? plainMap(typed.value as readonly Typed[]) : new Map();
}
