import { LRUCache } from 'lru-cache';

import { neighbourhood } from '../audit/neighbourhood.ts';
import { type Clock, type Instant, type Milliseconds, minutes, plus, seconds } from '../kernel/clock.ts';

/** How often an address may be wrong before it has to wait. */
const freeAttempts = 5;
const firstWait = seconds(1);
const longestWait = minutes(5);
/** After so long without another one, the failed attempts of an address are forgotten. */
const memory = minutes(15);
/** Addresses that are remembered; a stranger with more of them drops its own oldest ones. */
const rememberedAddresses = 4096;

/** Slows down whoever guesses. Kept in memory: a restart forgives. */
export interface FailedAttempts {
  /** How long this address has still to wait; 0 when it need not. */
  waitSeconds(address: string): number;
  /** Returns how many it were in a row, by this address. */
  failed(address: string): number;
}

interface Entry {
  failures: number;
  lastAt: Instant;
  blockedUntil: Instant;
}

export function createFailedAttempts({ clock }: { readonly clock: Clock }): FailedAttempts {
  const entries = new LRUCache<string, Entry>({ max: rememberedAddresses });

  function recent(key: string): Entry | undefined {
    const entry = entries.get(key);
    return entry !== undefined && clock.now() < plus(entry.lastAt, memory) ? entry : undefined;
  }

  return {
    waitSeconds(address) {
      const entry = recent(neighbourhood(address));
      return entry === undefined ? 0 : Math.max(0, Math.ceil((entry.blockedUntil - clock.now()) / 1000));
    },
    failed(address) {
      const key = neighbourhood(address);
      const now = clock.now();
      const failures = (recent(key)?.failures ?? 0) + 1;
      entries.set(key, { failures, lastAt: now, blockedUntil: plus(now, waitAfter(failures)) });
      return failures;
    },
  };
}

/** Doubles with each attempt above those that are free. */
function waitAfter(failures: number): Milliseconds {
  if (failures < freeAttempts) return seconds(0);
  const wait = firstWait * 2 ** Math.min(failures - freeAttempts, 20);
  return Math.min(wait, longestWait) as Milliseconds;
}
