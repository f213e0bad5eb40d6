import type { TransportName } from '../transport.ts';
import type { RefusalSide } from './refusal.ts';

export const denyKinds = ['block', 'individual'] as const;

/** What shuts a device out: an operator's block, or a disabled individual enrollment. */
export interface DenyName {
  readonly kind: (typeof denyKinds)[number];
  readonly id: string;
}

/** Where a device tried to come in. */
export interface TriedDoor {
  readonly side: RefusalSide;
  /** The provisioning service or the hub. */
  readonly place: string;
  readonly transport: TransportName;
  readonly attempts: number;
}

/** What became of a device after it was shut out: every attempt of it that its deny ended. */
export interface Tripwire {
  /** Its registration id, else its device id. */
  readonly device: string;
  readonly deny: DenyName;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly attempts: number;
  /** Those of them that showed the device's own credential; the others only named it. */
  readonly proven: number;
  readonly doors: readonly TriedDoor[];
  /** The latest first, each once, as many as are kept. */
  readonly addresses: readonly string[];
  /** Of the last attempt; resolves to all the reasons. */
  readonly trackingId: string;
  /** What the last attempt was told to wait, where its protocol has a word for it. */
  readonly retryAfterSeconds: number;
}
