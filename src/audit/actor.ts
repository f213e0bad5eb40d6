import type { TransportName } from '../contracts/transport.ts';

/**
 * `operator` has a token of Muster's own API, `policy` signed with a shared access policy, `device` is a device that acts for
 * itself, `system` is the service, and `stranger` has not shown who it is.
 */
export const actorKinds = ['operator', 'policy', 'device', 'system', 'stranger'] as const;
export type ActorKind = (typeof actorKinds)[number];

/** Where a change was asked for. */
export interface Origin {
  readonly transport: TransportName;
  readonly address: string;
  /** As the client calls itself; unchecked. */
  readonly userAgent?: string;
}

/** Who changes something. */
export interface Actor {
  readonly kind: ActorKind;
  /** Of the token, the policy or the device. */
  readonly name: string;
  readonly origin?: Origin;
}

/** Who changes something, and why; every write takes one. */
export interface Cause {
  readonly by: Actor;
  readonly reason?: string;
  readonly ticket?: string;
}

/** What the service does of itself: a start, housekeeping. */
export const systemCause: Cause = { by: { kind: 'system', name: 'system' } };

/** What a device does for itself, by the id that it gave. */
export function deviceCause(name: string, { transport, remoteAddress }: PeerAddress): Cause {
  return { by: { kind: 'device', name, origin: { transport, address: remoteAddress } } };
}

interface PeerAddress {
  readonly transport: TransportName;
  readonly remoteAddress: string;
}
