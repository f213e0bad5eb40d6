import type { JsonObject } from '../../kernel/json.ts';

/** `readmission`: a deny was lifted that something else covers. `tripwire`: a device that was shut out tries to come back. */
export const eventKinds = ['readmission', 'tripwire'] as const;
export type EventKind = (typeof eventKinds)[number];

/** Something that operators want to hear of; listed, and sent to a webhook in this shape. */
export interface MusterEvent {
  /** Grows, and is never given out again: a gap says that something was forgotten before it was sent. */
  readonly sequence: number;
  readonly at: string;
  readonly kind: EventKind;
  readonly data: JsonObject;
}
