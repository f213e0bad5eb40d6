import type { Duplex } from 'node:stream';

/**
 * A peer that finished its TLS handshake (or a WebSocket upgrade on top of one), as every engine receives it.
 * Nothing has been trusted yet: `certificates` is what the peer sent.
 */
export interface PeerConnection {
  readonly stream: Duplex;
  /** DER, leaf first; empty without a client certificate. Each is read from TLS once, and not before somebody takes it. */
  readonly certificates: Iterable<Uint8Array>;
  readonly serverName: string | undefined;
  readonly remoteAddress: string;
}

/** A door that speaks one protocol on connections that a listener or a WebSocket upgrade hands to it. */
export interface Door<Transport extends string = string> {
  accept(connection: PeerConnection, transport: Transport): void;
  /** Ends every connection with the protocol's word for shutting down; resolves when all are closed. */
  close(): Promise<void>;
  /** Open connections, for health and tests. */
  connectionCount(): number;
}
