import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';
import type { Seen } from '../hub/ports.ts';
import { type Instant, instant, seconds } from '../kernel/clock.ts';
import type { MemberId } from './channel.ts';
import { createModulePaths } from './module-paths.ts';

/** An identity of a hub. */
export interface Identity {
  readonly hub: string;
  readonly path: IdentityPath;
}

/** What the other members hold, as far as they have told. */
export interface RemotePresences {
  /** `join` tells the sessions of a member apart; one that is told of twice is one. */
  joined(member: MemberId, identity: Identity, session: RemoteSession): void;
  left(member: MemberId, identity: Identity, session: RemoteSession): void;
  active(identity: Identity, at: Instant): void;
  /** What one that was here first knows of an identity. */
  know(identity: Identity, seen: Seen): void;
  /**
   * A member is gone with all that it held; returns those that nobody else holds, and those that left it so lately that it may not
   * have written that down.
   */
  gone(member: MemberId, at: Instant): readonly Identity[];
  /** The identity was removed, with its modules. */
  forget(identity: Identity): void;
  holders(hub: string, path: IdentityPath): readonly MemberId[];
  seen(hub: string, path: IdentityPath): Seen;
  /** Devices that somebody holds, without modules. */
  heldDevices(hub: string): Iterable<IdentityPath>;
}

export interface RemoteSession {
  readonly join: number;
  readonly at: Instant;
}

/** Longer than a member takes to write down who has left. */
const unwritten = seconds(10);

interface Presence extends Identity {
  /** Which sessions each has, by their numbers. */
  readonly holders: Map<MemberId, Set<number>>;
  /** Who was the last to hold it. */
  lastHolder?: MemberId;
  connectionChangedAt?: Instant;
  activeAt?: Instant;
}

export function createRemotePresences(): RemotePresences {
  const hubs = new Map<string, Map<IdentityPath, Presence>>();
  const modules = createModulePaths();

  const find = (hub: string, path: IdentityPath): Presence | undefined => hubs.get(hub.toLowerCase())?.get(path);

  function obtain({ hub, path }: Identity): Presence {
    const key = hub.toLowerCase();
    const devices = hubs.get(key) ?? new Map<IdentityPath, Presence>();
    hubs.set(key, devices);
    const presence = devices.get(path) ?? { hub, path, holders: new Map<MemberId, Set<number>>() };
    devices.set(path, presence);
    modules.note(hub, path);
    return presence;
  }

  return {
    joined(member, identity, { join, at }) {
      const presence = obtain(identity);
      presence.holders.set(member, (presence.holders.get(member) ?? new Set()).add(join));
      note(presence, { connectionChangedAt: at, activeAt: at });
    },
    left(member, { hub, path }, { join, at }) {
      const presence = find(hub, path);
      const sessions = presence?.holders.get(member);
      // Forgotten in the meantime, or over before this member came.
      if (presence === undefined || sessions?.delete(join) !== true) return;
      presence.lastHolder = member;
      if (sessions.size === 0) presence.holders.delete(member);
      note(presence, { connectionChangedAt: at });
    },
    active: (identity, at) => note(obtain(identity), { activeAt: at }),
    know: (identity, seen) => note(obtain(identity), seen),
    gone(member, at) {
      const left: Identity[] = [];
      for (const devices of hubs.values()) {
        for (const presence of devices.values()) {
          const hadIt = presence.holders.delete(member);
          if (hadIt) note(presence, { connectionChangedAt: at });
          const isUnwritten = presence.lastHolder === member && at - (presence.connectionChangedAt ?? 0) < unwritten;
          if ((hadIt || isUnwritten) && presence.holders.size === 0) left.push({ hub: presence.hub, path: presence.path });
        }
      }
      return left;
    },
    forget({ hub, path }) {
      for (const one of [path, ...modules.of(hub, path)]) {
        if ((find(hub, one)?.holders.size ?? 0) > 0) continue;
        hubs.get(hub.toLowerCase())?.delete(one);
        modules.forget(hub, one);
      }
    },
    holders: (hub, path) => [...(find(hub, path)?.holders.keys() ?? [])],
    seen: (hub, path) => seenOf(find(hub, path) ?? {}),
    *heldDevices(hub) {
      for (const [path, { holders }] of hubs.get(hub.toLowerCase()) ?? []) {
        if (holders.size > 0 && idsOf(path).moduleId === undefined) yield path;
      }
    },
  };
}

/** The later of what two know. */
export function latest(one: Seen, other: Seen): Seen {
  const connectionChangedAt = later(one.connectionChangedAt, other.connectionChangedAt);
  const activeAt = later(one.activeAt, other.activeAt);
  return seenOf({ ...(connectionChangedAt === undefined ? {} : { connectionChangedAt }), ...(activeAt === undefined ? {} : { activeAt }) });
}

function later(one: Instant | undefined, other: Instant | undefined): Instant | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return instant(Math.max(one, other));
}

function note(presence: Presence, seen: Seen): void {
  Object.assign(presence, latest(presence, seen));
}

function seenOf({ connectionChangedAt, activeAt }: Seen): Seen {
  return {
    ...(connectionChangedAt === undefined ? {} : { connectionChangedAt }),
    ...(activeAt === undefined ? {} : { activeAt }),
  };
}
