/** What one peer may cost; the owner of the engine chooses the numbers. */
export interface AmqpLimits {
  /** Largest frame before OPEN. */
  readonly unauthenticatedBytes: number;
  /** Largest frame afterwards; announced as max-frame-size. */
  readonly frameBytes: number;
  /** Links of one session, and of one connection. */
  readonly links: number;
  readonly connectionLinks: number;
  /** Sessions of one connection, and of one where nobody has shown who they are yet. */
  readonly sessions: number;
  readonly unsettledSessions: number;
  /** From accept to OPEN, and from OPEN to the first link that was let in. */
  readonly connectSeconds: number;
  /** Announced as idle-time-out; silence of twice as long ends the connection (AMQP 1.0 part 2.4.5). */
  readonly idleSeconds: number;
  /** Deliveries that a peer may have under way on one link. */
  readonly credit: number;
  /** Bytes of deliveries being handled; beyond them nothing more is read. As many may have begun to arrive; beyond them it ends. */
  readonly inflightBytes: number;
  /** Messages that wait on one link for the peer's credit, and bytes that wait for its socket; beyond them it is a slow consumer. */
  readonly queuedMessages: number;
  readonly outboundBytes: number;
}
