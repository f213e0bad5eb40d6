import { type AmqpError, errorFields } from './amqp-error.ts';
import type { LinkHandler, Outcome, OutgoingDelivery } from './binding.ts';
import { sayOutcome } from './disposition.ts';
import { encodeMessage, type OutgoingMessage } from './message.ts';
import { rhea, type RheaDelivery, type RheaFrame, type RheaLink, type RheaSession } from './rhea.ts';

/** What the sending half of a link needs of its connection. */
export interface OutgoingOwner {
  readonly queuedMessages: number;
  readonly outboundBytes: number;
  readonly tag: () => Buffer;
  readonly renderError: (thrown: unknown) => AmqpError;
  /** The sending half of ours that belongs to a link of rhea's. */
  readonly outgoingOf: (link: RheaLink) => Outgoing | undefined;
  /** Counts bytes that wait for credit and window of the peer, up and down. */
  readonly waiting: (bytes: number) => void;
  /** Resolves when the socket has taken everything that was written so far; `false` when it closed before that. */
  readonly taken: () => Promise<boolean>;
  readonly tooSlow: () => void;
  readonly wake: () => void;
  /** Writes what is due without waiting for the end of this turn. */
  readonly writeNow: () => void;
}

/** Of senders (AMQP 1.0 part 2.8.2). */
const unsettledMode = 0;
const settledMode = 1;

/** A message on its way to the peer; without a delivery nobody waits for a decision. */
interface Queued {
  readonly bytes: Buffer;
  readonly delivery?: OutgoingDelivery;
}

/** A message that rhea has. */
interface Begun extends Queued {
  readonly sent: RheaDelivery;
}

/** What rhea calls an outcome, and what it comes to. */
const outcomes: Readonly<Record<string, Outcome>> = {
  accepted: 'accepted',
  released: 'released',
  modified: 'released',
  rejected: 'rejected',
};

/** The sending half of a link: what waits for the peer's credit, and what the peer has to decide about. */
export class Outgoing {
  readonly #owner: OutgoingOwner;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Begun while the window of the session took only a part of it. */
  #begun: Begun | undefined;
  /** Those that the peer has to decide about. */
  readonly #undecided = new Map<RheaDelivery, OutgoingDelivery>();
  /** Those whose decision is being carried out. */
  readonly #deciding = new WeakSet<RheaDelivery>();
  #link: RheaLink | undefined;
  #handler: LinkHandler | undefined;
  /** The peer wants its credit used up: by what there is, and then by saying so. */
  #drain: 'none' | 'asked' | 'at rest' = 'none';
  #closed = false;

  constructor(owner: OutgoingOwner) {
    this.#owner = owner;
  }

  /** The link was let in. */
  start(link: RheaLink, handler: LinkHandler): void {
    this.#link = link;
    this.#handler = handler;
    // rhea would count a credit of four billion down one by one, whenever it likes.
    link._get_drain = () => false;
    link.on('sendable', () => this.flush());
    link.on('sender_flow', () => this.#flowed(link));
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

  send(message: OutgoingMessage): void {
    this.#enqueue({ bytes: encodeMessage(message) });
  }

  deliver(delivery: OutgoingDelivery): void {
    this.#enqueue({ bytes: encodeMessage(delivery.message), delivery });
  }

  /** The link is over. */
  end(): void {
    this.#closed = true;
    this.#owner.waiting(-this.#queuedBytes);
    this.#queuedBytes = 0;
    this.#queue.length = 0;
    // Or they would stay in the session's books for as long as it lasts.
    for (const delivery of this.#undecided.keys()) delivery.settled = delivery.remote_settled = true;
    this.#undecided.clear();
    if (this.#begun !== undefined) this.#abandon(this.#begun);
  }

  /**
   * Sends what credit and window allow, one by one. rhea sends in order over all links of a session: a message without
   * credit or window would hold up the others, so it waits here.
   */
  flush(): void {
    const link = this.#link;
    if (link === undefined || this.#closed) return;
    const { outgoing } = link.session;
    this.#finishBegun(link);
    if (outgoing.available() < outgoing.deliveries.capacity / 2) this.#takeBackOldest(link.session);
    while (link.credit > 0 && outgoing.available() > 0 && isFree(link.session)) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#begin(link, next);
      // Behind ATTACH, which may not be written yet.
      link._process();
      outgoing.process();
      this.#finishBegun(link);
    }
    this.#answerDrain(link);
  }

  /** Stops waiting for a decision: as if the peer had released the message, and it is told so. */
  takeBack(delivery: RheaDelivery): void {
    if (this.#decide(delivery, 'released')) return;
    delivery.update(true);
    delivery.remote_settled = true;
  }

  #enqueue(message: Queued): void {
    if (this.#closed) return;
    this.#queue.push(message);
    this.#wait(message.bytes.length);
    this.flush();
    const { queuedMessages, outboundBytes } = this.#owner;
    if (this.#queue.length > queuedMessages || this.#queuedBytes > outboundBytes) this.#owner.tooSlow();
  }

  #wait(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#owner.waiting(bytes);
  }

  #begin(link: RheaLink, message: Queued): void {
    const { delivery: waiting, bytes } = message;
    const sent = link.send(bytes, waiting?.tag ?? this.#owner.tag(), 0);
    const mode = link.local.attach['snd_settle_mode'];
    // Whatever the peer does not insist on having unsettled is settled as it leaves (hub chapter 4.7, DPS 1.6.4).
    sent.settled = mode === settledMode || (waiting === undefined && mode !== unsettledMode);
    if (waiting !== undefined && !sent.settled) this.#undecided.set(sent, waiting);
    this.#begun = { ...message, sent };
  }

  #finishBegun({ session }: RheaLink): void {
    const begun = this.#begun;
    if (begun === undefined || begun.sent.id >= session.outgoing.next_pending_delivery) return;
    this.#begun = undefined;
    this.#wait(-begun.bytes.length);
    // Unsettled deliveries stay with rhea; their bytes need not.
    begun.sent.data = [];
    if (begun.sent.settled && begun.delivery !== undefined) void this.#seeOff(begun.delivery);
  }

  /** Settled as it left: nobody is going to say that it came, so it is complete when the socket has it, and not before. */
  async #seeOff(delivery: OutgoingDelivery): Promise<void> {
    if (!(await this.#owner.taken())) return;
    await delivery.decided('accepted').catch((thrown: unknown) => this.#owner.renderError(thrown));
  }

  /** The rest of it would go out on a link that is no more, and whatever comes after it waits. DETACH ends it for the peer. */
  #abandon({ sent }: Begun): void {
    const { outgoing } = sent.link.session;
    this.#begun = undefined;
    sent.settled = sent.remote_settled = true;
    if (outgoing.next_pending_delivery === sent.id) outgoing.next_pending_delivery += 1;
  }

  #flowed(link: RheaLink): void {
    // What has begun is finished, whatever became of the credit that it began with.
    if (this.#begun !== undefined && link.credit <= 0) link.credit = 1;
    this.#drain = link._draining === true ? 'asked' : 'none';
    this.flush();
    this.#tellCredit(link);
    if (this.#drain === 'asked') void this.#rest(link);
  }

  /** What the peer takes beyond what is on its way already. */
  #tellCredit(link: RheaLink): void {
    const credit = link.credit - this.#queue.length - (this.#begun === undefined ? 0 : 1);
    if (!this.#closed) this.#handler?.credit?.(Math.max(0, credit));
  }

  async #rest(link: RheaLink): Promise<void> {
    await this.#handler?.rest?.().catch((thrown: unknown) => this.#owner.renderError(thrown));
    if (this.#drain === 'none') return;
    this.#drain = 'at rest';
    this.flush();
    this.#owner.wake();
    this.#tellCredit(link);
  }

  /** Everything that there was is sent: the rest of the credit is used up by saying so (AMQP 1.0 part 2.6.7). */
  #answerDrain(link: RheaLink): void {
    if (this.#drain !== 'at rest' || this.#begun !== undefined || (this.#queue.length > 0 && link.credit > 0)) return;
    this.#drain = 'none';
    link.delivery_count = (link.delivery_count + Math.max(0, link.credit)) % 2 ** 32;
    link.credit = 0;
    link._get_drain = () => {
      link._get_drain = () => false;
      return true;
    };
    link.issue_flow = true;
    this.#owner.wake();
  }

  /** The books of a session are half full, and its oldest delivery holds up all others, whatever link it is on. */
  #takeBackOldest({ outgoing }: RheaSession): void {
    const oldest = outgoing.deliveries.get_head();
    if (oldest !== undefined && oldest.id < outgoing.next_pending_delivery) this.#owner.outgoingOf(oldest.link)?.takeBack(oldest);
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
        if (!this.#closed) sayOutcome(delivery, state, this.#owner.writeNow);
        // Nothing that the peer says of it counts any more.
        delivery.settled = delivery.remote_settled = true;
        return this.#owner.wake();
      });
    return true;
  }
}

/** After a FLOW the window may be open again, for whatever link; and whoever asks for our state gets it (AMQP 1.0 part 2.7.4). */
export function answerFlow(
  { performative: { handle, echo } }: RheaFrame,
  session: RheaSession | undefined,
  outgoingOf: OutgoingOwner['outgoingOf'],
): void {
  if (session === undefined) return;
  for (const link of Object.values(session.links)) outgoingOf(link)?.flush();
  if (echo !== true) return;
  const link = typeof handle === 'number' ? session.remote.handles[handle] : undefined;
  if (link === undefined) session._write_flow();
  else link.issue_flow = true;
}

/** Whether the session takes another message: none is under way, and the peer's window is open. */
function isFree({ outgoing }: RheaSession): boolean {
  return outgoing.next_pending_delivery === outgoing.next_delivery_id && outgoing.transfer_window() > 0;
}
