import type { AmqpError } from './amqp-error.ts';
import type { AmqpMessage, OutgoingMessage } from './message.ts';
import type { PlainCredentials } from './sasl.ts';
import type { AmqpValue } from './values.ts';

/** The two ways AMQP reaches us. */
export type AmqpTransport = 'amqp' | 'amqp-ws';

/** Where the peer is. */
export interface AmqpPeer {
  readonly transport: AmqpTransport;
  readonly remoteAddress: string;
  readonly serverName?: string;
}

/** One open connection, in the words of the services behind it. */
export interface AmqpConnection {
  readonly peer: AmqpPeer;
  /** DER, leaf first, as the peer sent them; not judged. */
  readonly certificates: Iterable<Uint8Array>;
  /** `hostname` of the peer's OPEN. */
  readonly hostName: string | undefined;
  /** What SASL PLAIN carried; not judged. */
  readonly plain: PlainCredentials | undefined;
  /** Somebody has shown who they are: the connection may stay. */
  settle(): void;
  /** Says `error` on every link and on the connection, then closes; resolves when the socket is closed or the kernel has our last words. */
  cut(error: AmqpError): Promise<void>;
  /** Resolves when everything said so far is with the kernel; a peer that does not read it in time is cut off. */
  flush(): Promise<void>;
}

/** A link as its peer asked for it, and from then on the link itself. */
export interface AmqpLink {
  readonly name: string;
  /** Which end the peer is: it sends to us, or receives from us. */
  readonly peerIs: 'sender' | 'receiver';
  /** Address of the node on our side: the target of a sender, the source of a receiver; empty when there is none. */
  readonly address: string;
  /** Address of the peer's own end, which some use as a reply-to. */
  readonly peerAddress: string;
  readonly properties: ReadonlyMap<string, AmqpValue>;
  readonly isClosed: boolean;
  /** Queues a message for a receiver; one for a closed link is dropped. */
  send(message: OutgoingMessage): void;
  /** Queues a message whose fate the receiver has to decide; one for a closed link is dropped. */
  deliver(delivery: OutgoingDelivery): void;
  /** Detaches with an error. Before the link is let in, it refuses it. */
  detach(error: AmqpError): void;
}

/** One message that the peer sent. */
export interface AmqpDelivery {
  /** `message-format`: 0, or another agreement about the bytes such as a batch. */
  readonly format: number;
  readonly message: AmqpMessage;
  /** Encoded size in bytes. */
  readonly size: number;
}

/** What a receiver decided about a message (AMQP 1.0 part 3.4); `modified` counts as released. */
export type Outcome = 'accepted' | 'released' | 'rejected';

/** A message that stays unsettled until its receiver has decided. */
export interface OutgoingDelivery {
  readonly message: OutgoingMessage;
  /** 16 bytes: C# reads the tag as a GUID (hub chapter 4.6). */
  readonly tag: Buffer;
  /**
   * Called once, unless the link ends first. The peer is told when it resolves; what it throws becomes a rejection. A
   * peer that wants everything settled has accepted with the sending.
   */
  decided(outcome: Outcome): Promise<void>;
}

/** A link that was let in. */
export interface LinkHandler {
  /** Largest encoded message from the peer; announced. */
  readonly maxMessageBytes: number;
  /** Whoever has only such links has shown nothing yet, and stays no longer than a connection without a link, unless `settle` is called. */
  readonly isProvisional?: boolean;
  /** The delivery is accepted when this resolves, and rejected with what it throws. Absent on links that the peer only reads. */
  message?(delivery: AmqpDelivery): Promise<void>;
  /** How many more messages the peer takes, each time it says so; for links that deliver. */
  credit?(messages: number): void;
  /** Resolves when everything that waits for the peer, as far as its credit goes, was handed to the link; for links that deliver. */
  rest?(): Promise<void>;
  /** Called once, when the link is gone for whatever reason. */
  closed?(): void;
}

/** A service that speaks AMQP, for one connection. */
export interface AmqpBinding {
  /** Decides on a link; frames that follow wait for it. Throws to refuse the link. */
  attach(link: AmqpLink): Promise<LinkHandler>;
  /** Called once, after the links' own `closed`. */
  closed(): void;
}
