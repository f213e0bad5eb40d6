import { LRUCache } from 'lru-cache';

import { type Clock, type Instant, type Milliseconds, minutes, plus, seconds } from '../kernel/clock.ts';

/** How often an address may be wrong before it has to wait. */
const freeAttempts = 5;
const firstWait = seconds(1);
const longestWait = minutes(5);
/** After so long without another one, the failed attempts of an address are forgotten. */
const memory = minutes(15);
/** Addresses that are remembered; a stranger with more of them drops its own oldest ones. */
const rememberedAddresses = 4096;
/** Entries that failed attempts get in the audit trail in one window, whatever the number of addresses. */
const audited = { entries: 100, window: minutes(15) };

/** What an attempt that failed comes to. */
export interface FailedAttempt {
  /** In a row, by this address. */
  readonly failures: number;
  /** Whether it is to be told in the audit trail: the first one of each address in a window, up to a number. */
  readonly isAudited: boolean;
}

/** Slows down whoever guesses. Kept in memory: a restart forgives. */
export interface FailedAttempts {
  /** How long this address has still to wait; 0 when it need not. */
  waitSeconds(address: string): number;
  failed(address: string): FailedAttempt;
}

interface Entry {
  failures: number;
  lastAt: Instant;
  blockedUntil: Instant;
}

export function createFailedAttempts({ clock }: { readonly clock: Clock }): FailedAttempts {
  const entries = new LRUCache<string, Entry>({ max: rememberedAddresses });
  let window = { endsAt: clock.now(), left: audited.entries, told: new Set<string>() };

  function recent(key: string): Entry | undefined {
    const entry = entries.get(key);
    return entry !== undefined && clock.now() < plus(entry.lastAt, memory) ? entry : undefined;
  }

  function takeAudit(key: string): boolean {
    if (clock.now() >= window.endsAt) window = { endsAt: plus(clock.now(), audited.window), left: audited.entries, told: new Set() };
    if (window.told.has(key) || window.left === 0) return false;
    window.told.add(key);
    window.left -= 1;
    return true;
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
      return { failures, isAudited: takeAudit(key) };
    },
  };
}

/** Doubles with each attempt above those that are free. */
function waitAfter(failures: number): Milliseconds {
  if (failures < freeAttempts) return seconds(0);
  const wait = firstWait * 2 ** Math.min(failures - freeAttempts, 20);
  return Math.min(wait, longestWait) as Milliseconds;
}

/** Whoever has one IPv6 address has the 64 bits below its network as well (RFC 6177); an IPv4 address counts by itself. */
export function neighbourhood(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/iu.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/u, ''))
    .join(':')}::/64`;
}
