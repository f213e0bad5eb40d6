/** What one peer may cost; the owner of the engine chooses the numbers. */
export interface MqttLimits {
  /** Largest remaining length before CONNACK. */
  readonly unauthenticatedBytes: number;
  /** From accept to a complete CONNECT. */
  readonly connectSeconds: number;
  readonly keepAliveSeconds: number;
  /** Distinct topic filters of one connection. */
  readonly subscriptions: number;
  /** Outbound QoS 1 messages without a PUBACK; also the most inbound messages handed over at once. */
  readonly inflight: number;
  /** Outbound bytes that wait for the client, in our queue and in the socket; beyond them it is a slow consumer. */
  readonly outboundBytes: number;
  readonly connections: number;
}
