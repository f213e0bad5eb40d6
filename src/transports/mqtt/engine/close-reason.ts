/** Why a connection ended: the `outcome` of its log event. Stable words, for dashboards. */
export type CloseReason =
  | 'disconnected'
  | 'lost'
  | 'refused'
  | 'rejected'
  | 'connect-timeout'
  | 'keep-alive'
  | 'malformed'
  | 'violation'
  | 'oversized'
  | 'slow-consumer'
  | 'cut'
  | 'shutting-down'
  | 'failed';

/** A peer broke the protocol or a limit: the engine closes without a word, as [MQTT-4.8.0-1] demands. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
  readonly reason: CloseReason;

  constructor(reason: CloseReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
