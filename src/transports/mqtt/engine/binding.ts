import type { LogFields } from '../../../kernel/logger.ts';

/** The two ways MQTT reaches us. */
export type MqttTransport = 'mqtt' | 'mqtt-ws';

/** A CONNECT that is well formed and of protocol level 4. Nothing in it has been judged. */
export interface ConnectRequest {
  readonly clientId: string;
  readonly userName: string;
  /** Whether the client wants to begin anew, without what it subscribed to before. */
  readonly clean: boolean;
  /** Absent when the client sent none or an empty one. */
  readonly password?: string;
  readonly will?: InboundMessage;
  /** DER as sent in the TLS handshake, leaf first. */
  readonly certificates: Iterable<Uint8Array>;
  readonly peer: { readonly transport: MqttTransport; readonly remoteAddress: string; readonly serverName?: string };
}

/** A PUBLISH from the client (or its will). `payload` may share memory with the receive buffer. */
export interface InboundMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

/** A PUBLISH to the client. It goes out at the QoS that the client's subscription was granted, or at 0 if it says so. */
export interface OutboundMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos?: 0;
}

/** Topic filters, and the QoS that each was granted. */
export type Subscriptions = ReadonlyMap<string, 0 | 1>;

/** A message that was handed to the client and whose acknowledgement somebody waits for. */
export interface TrackedMessage {
  /** Sends it once more as a duplicate, unless it still waits for its turn. */
  again(): void;
}

/** What a binding may do to a live connection. */
export interface MqttLink {
  /** Sends to the client if one of its subscriptions matches, else does nothing. */
  deliver(message: OutboundMessage): void;
  /**
   * As `deliver`, and calls back when the client has acknowledged: at QoS 0 as soon as the socket has taken it.
   * `undefined` = no subscription matches.
   */
  track(message: OutboundMessage, acknowledged: () => void): TrackedMessage | undefined;
  /** Destroys the socket at once; resolves when it is closed. `reason` is for the log. */
  cut(reason: string): Promise<void>;
}

/** How a connection ended, as far as a session has to know. Only `disconnect` discards the will [MQTT-3.14.4-3]. */
export type SessionEnd = 'disconnect' | 'lost' | 'cut' | 'shutdown';

/** How many messages from the front of a batch were dealt with, and what to answer after they are acknowledged. */
export interface Taken {
  readonly taken: number;
  readonly replies: readonly OutboundMessage[];
}

/** One accepted connection, in the words of the service behind it. */
export interface MqttSession {
  /** Largest remaining length of a packet from this client, in bytes. */
  readonly maxPacketBytes: number;
  /** Identifies the client in the connection's log event; no secrets. */
  readonly logFields: LogFields;
  /** What an earlier connection of this client subscribed to, if that was kept: then CONNACK says Session Present. */
  readonly stored?: Subscriptions;
  /** Called behind CONNACK, and with each change of subscriptions, which is acknowledged when it resolves. */
  subscribed?(subscriptions: Subscriptions): Promise<void>;
  /** Whether the filter is granted (else SUBACK 0x80). Throws `ServiceError` to close the connection. */
  grants(filter: string): boolean;
  /**
   * Deals with at least the first of the messages (never empty, in order of arrival) and says how many. What was
   * taken is acknowledged when the promise resolves, then the replies go out; the next call follows after that, so
   * nothing is read from the client meanwhile. Throws `ServiceError` to close the connection.
   */
  take(messages: readonly InboundMessage[]): Promise<Taken>;
  /** Called once, when the socket has closed. */
  end(how: SessionEnd): Promise<void>;
}

/** A service that speaks MQTT: the engine has an explicit list of them and asks in order. */
export interface MqttBinding {
  readonly name: string;
  /** Whether a CONNECT with this user name is for this service. */
  claims(userName: string): boolean;
  /** Throws `ServiceError` to refuse. A cut during the call ends the session right after it. */
  connect(request: ConnectRequest, link: MqttLink): Promise<MqttSession>;
}
