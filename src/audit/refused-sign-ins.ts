import { type Clock, type Instant, minutes, plus } from '../kernel/clock.ts';
import type { TransportName } from '../contracts/transport.ts';
import type { Cause } from './actor.ts';
import type { ChangeRecorder } from './change.ts';
import { neighbourhood } from './neighbourhood.ts';

/** Entries that refused sign-ins get in one window, whatever the number of addresses: the first one of each. */
const told = { entries: 100, window: minutes(15) };

export interface RefusedSignIn {
  /** Which door, and of which hub or provisioning service. */
  readonly at: { readonly id: string; readonly scope?: string };
  readonly transport: TransportName;
  readonly address: string;
  readonly reason: string;
  /** In a row, by this address, where somebody counts. */
  readonly failures?: number;
}

/** Tells the audit trail who showed what was not good; bounded, so that strangers cannot fill it. */
export interface RefusedSignIns {
  /** Resolves when the entry is stored, or at once when there is none. */
  note(refused: RefusedSignIn): Promise<void>;
}

export function createRefusedSignIns(deps: {
  readonly storage: {
    write<T>(work: (transaction: { readonly changes: ChangeRecorder }) => Promise<T>, cause?: Cause): Promise<T>;
  };
  readonly clock: Clock;
}): RefusedSignIns {
  const isTold = createBound(deps.clock);
  return {
    async note({ at, transport, address, reason, failures }) {
      if (!isTold(address)) return;
      const after = { reason, ...(failures === undefined ? {} : { failures }) };
      const change = { action: 'sign-in.refused', resource: { kind: 'sign-in', ...at }, after };
      const by = { kind: 'stranger', name: address, origin: { transport, address } } as const;
      await deps.storage.write(async ({ changes }) => changes.record(change), { by });
    },
  };
}

function createBound(clock: Clock): (address: string) => boolean {
  let window: { readonly endsAt: Instant; readonly addresses: Set<string> } = { endsAt: clock.now(), addresses: new Set() };
  return (address) => {
    if (clock.now() >= window.endsAt) window = { endsAt: plus(clock.now(), told.window), addresses: new Set() };
    const key = neighbourhood(address);
    if (window.addresses.has(key) || window.addresses.size >= told.entries) return false;
    window.addresses.add(key);
    return true;
  };
}
