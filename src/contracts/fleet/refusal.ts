import type { TransportName } from '../transport.ts';

export const refusalSides = ['provisioning', 'hub'] as const;
export type RefusalSide = (typeof refusalSides)[number];

/** A device that was not let in, as operators see it. */
export interface Refusal {
  /** Grows; what came after another one has a greater number. */
  readonly sequence: number;
  readonly at: string;
  readonly side: RefusalSide;
  /** The provisioning service or the hub; empty when the device asked for one that does not exist. */
  readonly place: string;
  /** The registration id or device id that was claimed. */
  readonly deviceId: string;
  readonly transport: TransportName;
  readonly address: string;
  /** Resolves to all the reasons. */
  readonly trackingId: string;
  /** The row of the error table, or `disabled` where the device is told a result. */
  readonly error: string;
  /** What decided: for programs, and for people. */
  readonly reason: string;
  readonly sentence: string;
}
