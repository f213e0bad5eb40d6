import type { TransportName } from '../transport.ts';
import type { Findings } from './receipt.ts';

/** What a device gets to see, in the words of each protocol. */
export type WireWords = Readonly<Record<TransportName, string>>;

/** One certificate of a chain, as it is drawn: leaf first. */
export interface ChainLink {
  readonly role: 'leaf' | 'issuer' | 'anchor';
  readonly subject: string;
  readonly issuer: string;
  readonly sha256: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Where it is known from: sent by the device, uploaded, in line in a group. */
  readonly from: readonly string[];
  /** Set where the path breaks. */
  readonly problem?: { readonly reason: string; readonly sentence: string };
}

/** A chain, and what is missing above it. */
export interface Chain {
  readonly links: readonly ChainLink[];
  readonly trusted: boolean;
  readonly missingIssuer?: { readonly name: string; readonly keyId?: string };
}

export interface TraceLine {
  readonly subject: string;
  readonly outcome: 'decided' | 'passed' | 'lost';
  readonly reason: string;
  readonly sentence: string;
}

/** What one provisioning service or hub decides, and why. */
export interface Decision {
  readonly side: 'provisioning' | 'hub';
  readonly name: string;
  /** Registration id or device id. */
  readonly id: string;
  readonly verdict: 'let-in' | 'disabled' | 'refused' | 'unknown';
  /** By what it was judged. */
  readonly basis: string;
  readonly chain?: Chain;
  readonly trace: readonly TraceLine[];
  /** What each wire says. */
  readonly says?: WireWords;
  /** What to do about it; empty when the device is let in. */
  readonly remedies: readonly string[];
}

/** A decision of the past, as it was kept. */
export interface KeptDecision {
  readonly side: 'provisioning' | 'hub';
  readonly trackingId: string;
  readonly name: string;
  readonly id: string;
  readonly at: string;
  readonly transport: string;
  readonly verdict: string;
  readonly operationId?: string;
  readonly trace: readonly TraceLine[];
  readonly says?: string;
  readonly remedies: readonly string[];
}

/** Why a device is let in or refused. */
export interface Explanation {
  readonly asked: string;
  /** When it was asked. */
  readonly at: string;
  /** The moment that it is about, where that is not the present. */
  readonly asOf?: string;
  /** What about that moment is not known. */
  readonly notes?: readonly string[];
  readonly kind: 'certificate' | 'device' | 'tracking id' | 'operation id';
  readonly found?: Findings;
  readonly decisions: readonly Decision[];
  readonly kept?: KeptDecision;
}
