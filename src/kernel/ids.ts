/** Where fresh identifiers come from: random in `runtime/`, counted in tests. */
export interface Ids {
  /** `<digit>.<16 hex digits>.<guid>`, safe in URL paths and MQTT topics. */
  operationId(): string;
  /** A GUID that the wire shows and that resolves to the reasons of a decision. */
  trackingId(): string;
  /** An opaque entity tag without quotes, in the shape of a GUID. */
  etag(): string;
  /** A GUID. */
  guid(): string;
  /** `byteCount` random bytes; only ever from a cryptographic source outside tests. */
  bytes(byteCount: number): Uint8Array;
}
