/** What a registration, or a connection, comes to: before a change or after it. */
export interface Outlook {
  /**
   * `assigned` to `hub`; `webhook` chooses the hub; `failed`: let in, but no hub takes it; `connects`: let in by its hub;
   * `disabled` or `refused`; `unknown`: cannot be told from what is kept.
   */
  readonly kind: 'assigned' | 'webhook' | 'failed' | 'connects' | 'disabled' | 'refused' | 'unknown';
  /** Host name. */
  readonly hub?: string;
  readonly deviceId?: string;
  /** The entry that decides. */
  readonly entry?: { readonly kind: 'individual' | 'group'; readonly id: string };
  /** The block that decides. */
  readonly block?: string;
  /** Azure's number. */
  readonly errorCode?: number;
  readonly why?: string;
}

/**
 * How a device takes a change: it loses or gains access, goes to another hub, gets the same in another way (another entry,
 * another reason), cannot be told, or stays as it is.
 */
export const flips = ['shut-out', 'let-in', 'moves', 'unknown', 'differs', 'stays'] as const;
export type Flip = (typeof flips)[number];

/** One device before and after a change. */
export interface Forecast {
  /** Registration id; device id where it never registered. */
  readonly device: string;
  /** Provisioning service; absent for an identity that never registered. */
  readonly instance?: string;
  readonly flip: Flip;
  /** The next registration. */
  readonly registration?: { readonly before: Outlook; readonly after: Outlook };
  /** The next connection of the identity that it has now; only for changes that hubs take notice of. */
  readonly connection?: { readonly before: Outlook; readonly after: Outlook };
}

export type FlipCounts = Readonly<Record<Flip, number>>;

/** What a change would come to, over the whole fleet. */
export interface WhatIfSummary {
  /** The change, in a sentence. */
  readonly change: string;
  readonly at: string;
  readonly examined: number;
  readonly counts: FlipCounts;
  /** What nobody can know, and what was left out. */
  readonly notes: readonly string[];
}

/** As it goes on: how far it is, each device that the change is about, and in the end the summary. */
export type WhatIfEvent =
  | { readonly kind: 'progress'; readonly examined: number; readonly total: number }
  | { readonly kind: 'device'; readonly device: Forecast }
  | { readonly kind: 'summary'; readonly summary: WhatIfSummary };

/** All of it at once, with the first devices only. */
export interface WhatIfReport extends WhatIfSummary {
  readonly devices: readonly Forecast[];
  /** More devices than these flip; follow the stream to see them. */
  readonly truncated: boolean;
}
