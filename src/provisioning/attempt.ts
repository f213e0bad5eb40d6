import type { Instant } from '../kernel/clock.ts';
import type { Json } from '../kernel/json.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Verdict } from './admission.ts';
import type { ProvisioningInstance } from './ports.ts';
import type { DeviceRequest } from './service.ts';

/** One request of a device on its way: what was asked, and the tracking id under which its reasons are kept. */
export interface Attempt {
  readonly request: DeviceRequest;
  readonly instance: ProvisioningInstance;
  readonly trackingId: string;
  readonly action: 'register' | 'poll' | 'lookup';
  /** What the device sent along, for a webhook. */
  readonly payload?: Json;
  /** When it presented its credentials, for a registration that went on later: they are judged as of then. */
  readonly presentedAt?: Instant;
}

/** What admission said about it, and when. */
export interface Outcome<T extends Verdict = Verdict> {
  readonly verdict: T;
  readonly at: Instant;
  /** Upper-case hex; absent without a certificate. */
  readonly leafSha256?: string;
  /** What came with the leaf, as it was sent. */
  readonly sent?: readonly Certificate[];
}

export type Admitted = Extract<Verdict, { kind: 'admit' }>;
export type Disabled = Extract<Verdict, { kind: 'disabled' }>;
export type Challenged = Extract<Verdict, { kind: 'challenge' }>;
export type Refused = Extract<Verdict, { kind: 'refuse' }>;

/** Where a request came from, for the log. */
export function peerFields({ peer }: DeviceRequest): { readonly transport: string; readonly remoteAddress: string } {
  return { transport: peer.transport, remoteAddress: peer.remoteAddress };
}
