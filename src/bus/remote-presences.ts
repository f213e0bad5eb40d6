import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';
import type { Seen } from '../hub/ports.ts';
import { type Instant, instant } from '../kernel/clock.ts';
import type { MemberId } from './channel.ts';
import { createModulePaths } from './module-paths.ts';

/** An identity of a hub. */
export interface Identity {
  readonly hub: string;
  readonly path: IdentityPath;
}

/** What the other members hold, as far as they have told. */
export interface RemotePresences {
  joined(member: MemberId, identity: Identity, at: Instant): void;
  left(member: MemberId, identity: Identity, at: Instant): void;
  active(identity: Identity, at: Instant): void;
  /** What one that was here first knows of an identity. */
  know(identity: Identity, seen: Seen): void;
  /** A member is gone with all that it held; returns those that nobody else holds. */
  gone(member: MemberId, at: Instant): readonly Identity[];
  /** The identity was removed, with its modules. */
  forget(identity: Identity): void;
  holders(hub: string, path: IdentityPath): readonly MemberId[];
  seen(hub: string, path: IdentityPath): Seen;
  /** Devices that somebody holds, without modules. */
  heldDevices(hub: string): Iterable<IdentityPath>;
}

interface Presence extends Identity {
  /** How many sessions each has. */
  readonly holders: Map<MemberId, number>;
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
    const presence = devices.get(path) ?? { hub, path, holders: new Map<MemberId, number>() };
    devices.set(path, presence);
    modules.note(hub, path);
    return presence;
  }

  function change(presence: Presence, member: MemberId, by: 1 | -1): void {
    const sessions = (presence.holders.get(member) ?? 0) + by;
    if (sessions > 0) presence.holders.set(member, sessions);
    else presence.holders.delete(member);
  }

  return {
    joined(member, identity, at) {
      const presence = obtain(identity);
      change(presence, member, 1);
      note(presence, { connectionChangedAt: at, activeAt: at });
    },
    left(member, { hub, path }, at) {
      const presence = find(hub, path);
      // Forgotten in the meantime.
      if (presence === undefined) return;
      change(presence, member, -1);
      note(presence, { connectionChangedAt: at });
    },
    active: (identity, at) => note(obtain(identity), { activeAt: at }),
    know: (identity, seen) => note(obtain(identity), seen),
    gone(member, at) {
      const left: Identity[] = [];
      for (const devices of hubs.values()) {
        for (const presence of devices.values()) {
          if (!presence.holders.delete(member)) continue;
          note(presence, { connectionChangedAt: at });
          if (presence.holders.size === 0) left.push({ hub: presence.hub, path: presence.path });
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
