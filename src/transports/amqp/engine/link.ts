import { ServiceError } from '../../../kernel/service-error.ts';
import { type AmqpError, errorFields } from './amqp-error.ts';
import type { AmqpLink, LinkHandler, OutgoingDelivery } from './binding.ts';
import { sayOutcome } from './disposition.ts';
import { dropUnfinished, PeerFault } from './frame-guards.ts';
import { type AmqpMessage, decodeMessage, type OutgoingMessage } from './message.ts';
import { Outgoing, type OutgoingOwner } from './outgoing.ts';
import { type Performative, rhea, type RheaContext, type RheaDelivery, type RheaFrame, type RheaLink, type Typed } from './rhea.ts';
import { type AmqpValue, plainMap } from './values.ts';

/** What a link needs of its connection. */
export interface LinkOwner extends OutgoingOwner {
  readonly credit: number;
  /** Counts bytes of deliveries being handled, up and down; reading stops while there are too many. */
  readonly inflight: (bytes: number) => void;
  /** Counts bytes of deliveries that have begun and not ended, up and down. Throws when the connection has too many. */
  readonly unfinished: (bytes: number) => void;
  /** Whether no more work is to be taken on now. */
  readonly isBusy: () => boolean;
}

/** Of receivers (AMQP 1.0 part 2.8.3). */
const firstMode = 0;
/** What a frame of an unfinished delivery costs beside its payload, which may be empty. */
const frameBytes = 128;
const empty = Buffer.alloc(0);

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
  /** What goes to a peer that receives. */
  readonly outgoing: Outgoing;

  /** Copies what it needs of the performative: rhea rewrites the termini. */
  constructor(attach: Performative, owner: LinkOwner) {
    this.#owner = owner;
    this.outgoing = new Outgoing(owner);
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
    this.#listen(link, handler);
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
    this.outgoing.end();
    this.#letGo();
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

  send(message: OutgoingMessage): void {
    this.outgoing.send(message);
  }

  deliver(delivery: OutgoingDelivery): void {
    this.outgoing.deliver(delivery);
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

  #listen(link: RheaLink, handler: LinkHandler): void {
    const role = link.is_receiver() ? 'receiver' : 'sender';
    for (const event of ['close', 'error']) link.on(`${role}_${event}`, () => this.gone());
    if (this.peerIs === 'receiver') this.outgoing.start(link, handler);
    else link.on('message', (context) => this.#arrived(context));
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

  #settle(delivery: RheaDelivery, outcome: unknown, bytes: number): void {
    this.#handling -= 1;
    if (this.#closed) delivery.settled = true;
    else sayOutcome(delivery, outcome, this.#owner.writeNow);
    const link = this.#rhea;
    const missing = link === undefined ? 0 : this.#owner.credit - link.credit - this.#handling;
    // In batches: a FLOW for every message would double the traffic.
    if (!this.#closed && missing >= this.#owner.credit / 4) link?.add_credit(missing);
    this.#owner.inflight(-bytes);
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
