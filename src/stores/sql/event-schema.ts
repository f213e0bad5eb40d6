import type { EventKind } from '../../contracts/fleet/event.ts';
import type { DenyName, TriedDoor } from '../../contracts/fleet/tripwire.ts';
import type { Instant } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { JsonText } from './schema.ts';

/** What operators are told of, and what devices did after they were shut out. */
export interface EventTables {
  readonly event: EventTable;
  readonly event_state: EventStateTable;
  readonly tripwire: TripwireTable;
}

export interface EventTable {
  sequence: number;
  at: Instant;
  kind: EventKind;
  data: JsonText<JsonObject>;
}

/** One row: the last sequence number that was given out, and the last that was delivered. */
export interface EventStateTable {
  id: number;
  last_sequence: number;
  delivered_sequence: number;
}

export interface TripwireTable {
  device_key: string;
  device: string;
  deny_kind: DenyName['kind'];
  deny_id: string;
  first_at: Instant;
  last_at: Instant;
  attempts: number;
  proven: number;
  /** JSON of `TriedDoor[]`, and of the addresses; nothing is looked for in them. */
  doors: JsonText<readonly TriedDoor[]>;
  addresses: JsonText<readonly string[]>;
  tracking_id: string;
}
