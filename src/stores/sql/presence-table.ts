import type { Instant } from '../../kernel/clock.ts';

/** When an identity was seen last, in the conventions of `schema.ts`; `device_id` is a path, as in `device`. */
export interface PresenceTable {
  hub_key: string;
  device_id: string;
  /** 0 or 1: whether a session was open when this was written. */
  connected: number;
  connection_changed_at: Instant | null;
  active_at: Instant | null;
}
