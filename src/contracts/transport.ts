/** The doors a device can come through, as they are named in traces, sessions and receipts. */
export const transportNames = ['https', 'mqtt', 'mqtt-ws', 'amqp', 'amqp-ws'] as const;
export type TransportName = (typeof transportNames)[number];

/** What a peer showed at the door. Nothing in here has been verified. */
export interface PresentedCredentials {
  /**
   * DER certificates as sent in the TLS handshake, leaf first; empty without a client certificate. Whoever needs the leaf alone
   * takes no more than that: the others cost a fifth of a handshake, and are there as long as the connection is.
   */
  readonly certificates: Iterable<Uint8Array>;
  /** A `SharedAccessSignature …` text, where the protocol carried one. */
  readonly sasToken?: string;
  /** Public keys of a TPM, each a TPM2B_PUBLIC, where the protocol or the body carried them. */
  readonly tpm?: { readonly endorsementKey: Uint8Array; readonly storageRootKey?: Uint8Array };
}

/** Where a request came from; for traces and logs. */
export interface PeerInfo {
  readonly transport: TransportName;
  readonly remoteAddress: string;
  /** TLS server name indication, if the client sent one. */
  readonly serverName?: string;
}
