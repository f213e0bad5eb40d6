import { type IdentityPath, idsOf } from '../contracts/hub/identity-path.ts';
import type {
  Bell,
  CutCause,
  CutReason,
  CutResult,
  Endable,
  LiveSession,
  MethodCall,
  MethodOutcome,
  PresenceRow,
  Seen,
  SessionBus,
} from '../hub/ports.ts';
import { createModulePaths } from './module-paths.ts';
import { assertNever } from '../kernel/assert-never.ts';
import { type Clock, type Instant, plus } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { LogFields, Logger } from '../kernel/logger.ts';

/** A session on the bus. */
interface Member {
  /** Tells it apart in what cuts report. */
  readonly id: string;
  keys: readonly string[];
  /** Its end, once it is being cut. */
  closing?: Promise<void> | undefined;
}

/** What is known of one device: its sessions, and when it was last seen. */
interface Presence {
  readonly hub: string;
  readonly path: IdentityPath;
  readonly sessions: Map<LiveSession, Member>;
  connectionChangedAt?: Instant;
  activeAt?: Instant;
  /** Whether it came or went since `takePresence` told of it, and when that was. */
  moved: boolean;
  toldAt?: Instant;
}

/** What ends the modules of a device as well; each has credentials of its own. */
const withModules: ReadonlySet<CutReason> = new Set(['device-deleted', 'device-disabled']);

/** The bus of one process, which may be one of several. */
export interface LocalSessions extends SessionBus {
  /** Cuts one session, because its device has come back elsewhere. */
  takeOver(hub: string, deviceId: IdentityPath, session: LiveSession): void;
}

/** The bus of a service that lives in one process: sessions are reached by calling them. */
export function createLocalBus(deps: LocalBusDependencies): LocalSessions {
  return new LocalBus(deps);
}

interface LocalBusDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when a session has left, by itself or because it was cut. */
  readonly onLeft?: (hub: string, path: IdentityPath, session: LiveSession) => void;
}

class LocalBus implements LocalSessions {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onLeft: LocalBusDependencies['onLeft'];
  /** By hub (its name in lower case), then by device. */
  readonly #presences = new Map<string, Map<string, Presence>>();
  /** What services have open. */
  readonly #attending = new Map<Endable, Member>();
  /** By the bell they listen to. */
  readonly #listeners = new Map<string, Set<() => void>>();
  /** Those that have, or had, a session. */
  readonly #modules = createModulePaths();
  /** Of whom there is something to tell. */
  readonly #news = new Set<Presence>();
  #members = 0;

  constructor({ clock, log, onLeft }: LocalBusDependencies) {
    this.#clock = clock;
    this.#log = log;
    this.#onLeft = onLeft;
  }

  join(hub: string, deviceId: string, session: LiveSession, keys: readonly string[] = []): () => void {
    const presence = this.#presenceOf(hub, deviceId);
    this.#modules.note(hub, deviceId);
    const member = presence.sessions.get(session);
    // A session that joins again, with a renewed token, does not take itself over.
    if (member !== undefined) member.keys = keys;
    else {
      for (const older of this.#entriesOf(presence)) this.#takeOver(hub, deviceId, older);
      if (presence.sessions.size === 0) this.#noteMove(presence);
      this.#members += 1;
      presence.sessions.set(session, { id: String(this.#members), keys });
    }
    this.#noteActivity(presence);
    return () => this.#leave(presence, session);
  }

  attend(session: Endable, keys: readonly string[]): () => void {
    this.#members += 1;
    const member: Member = { id: String(this.#members), keys };
    this.#attending.set(session, member);
    return () => {
      // One that attends again, with a renewed token, is not sent away by the end of the first time.
      if (this.#attending.get(session) === member) this.#attending.delete(session);
    };
  }

  async cut(hub: string, deviceId: string, cause: CutCause): Promise<CutResult> {
    const { reason, except } = typeof cause === 'string' ? { reason: cause, except: [] } : cause;
    const staying = new Set(except);
    const paths = withModules.has(reason) ? [deviceId, ...this.#modules.of(hub, deviceId)] : [deviceId];
    const presences = paths.flatMap((path) => {
      const presence = this.#find(hub, path);
      return presence === undefined ? [] : [{ path, presence }];
    });
    const entries = presences.flatMap(({ presence }) => this.#entriesOf(presence));
    const ending = entries.filter(({ member }) => !member.keys.some((key) => staying.has(key)));
    const result = await this.#cutAll(ending, reason);
    if (reason === 'device-deleted') for (const left of presences) this.#forget(hub, left);
    return result;
  }

  async cutCovered(keys: readonly string[], reason: CutReason): Promise<CutResult> {
    const wanted = new Set(keys);
    const ofDevices = [...this.#presences.values()]
      .flatMap((devices) => [...devices.values()])
      .flatMap((presence) => this.#entriesOf(presence));
    const ofServices = [...this.#attending].map(([session, member]): Entry => ({
      session,
      member,
      leave: () => void this.#attending.delete(session),
    }));
    const covered = [...ofDevices, ...ofServices].filter(({ member }) => member.keys.some((key) => wanted.has(key)));
    return this.#cutAll(covered, reason);
  }

  async #cutAll(entries: readonly Entry[], reason: CutReason): Promise<CutResult> {
    const startedAt = this.#clock.now();
    const elapsed = (): number => this.#clock.now() - startedAt;
    const closings = entries.map(async (entry) => {
      const { session, member } = entry;
      await this.#close(entry, reason);
      return { session: member.id, transport: session.peer.transport, elapsedMilliseconds: elapsed() };
    });
    const outcomes = await Promise.allSettled(closings);
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} sessions could not be closed.`);
    const closed = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    return { sessions: closed.length, elapsedMilliseconds: elapsed(), closed };
  }

  notifyDesired(hub: string, deviceId: string, patch: JsonObject): void {
    for (const [session, { closing }] of this.#find(hub, deviceId)?.sessions ?? []) {
      if (closing === undefined) this.#guarded('session.notify.failed', { hub, deviceId }, () => session.notifyDesired(patch));
    }
  }

  isConnected(hub: string, deviceId: string): boolean {
    return (this.#find(hub, deviceId)?.sessions.size ?? 0) > 0;
  }

  connectedDevices(hub: string): number {
    const devices = this.#presences.get(hub.toLowerCase()) ?? new Map<IdentityPath, Presence>();
    return [...devices].filter(([path, { sessions }]) => sessions.size > 0 && idsOf(path).moduleId === undefined).length;
  }

  lastSeen(hub: string, deviceId: IdentityPath): Seen {
    const presence = this.#find(hub, deviceId);
    return presence === undefined ? {} : seenOf(presence);
  }

  takePresence({ limit, activeEvery }: Parameters<SessionBus['takePresence']>[0]): readonly PresenceRow[] {
    const now = this.#clock.now();
    const taken: PresenceRow[] = [];
    for (const presence of this.#news) {
      if (taken.length >= limit) break;
      const { hub, path, sessions, moved, toldAt } = presence;
      if (!moved && toldAt !== undefined && now < plus(toldAt, activeEvery)) continue;
      // Those who come again get behind the others, so that nobody waits for ever.
      this.#news.delete(presence);
      presence.moved = false;
      presence.toldAt = now;
      taken.push({ hub, deviceId: path, connected: sessions.size > 0, ...seenOf(presence) });
    }
    return taken;
  }

  touch(hub: string, deviceId: string): void {
    this.#noteActivity(this.#presenceOf(hub, deviceId));
  }

  async callMethod(hub: string, deviceId: string, call: MethodCall, signal: AbortSignal): Promise<MethodOutcome | undefined> {
    for (const [session, { closing }] of this.#find(hub, deviceId)?.sessions ?? []) {
      const calling = closing === undefined ? session.callMethod(call, signal) : undefined;
      if (calling !== undefined) return await calling;
    }
    return undefined;
  }

  listen(bell: Bell, listener: () => void): () => void {
    const key = keyOf(bell);
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners);
    // Wrapped, so that the same function given twice is called twice and stopped one at a time.
    const entry = (): void => listener();
    listeners.add(entry);
    return () => {
      listeners.delete(entry);
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key);
    };
  }

  ring(bell: Bell): void {
    const { hub, about } = bell;
    for (const listener of this.#listeners.get(keyOf(bell)) ?? []) this.#guarded('bus.listener.failed', { hub, about }, listener);
  }

  takeOver(hub: string, deviceId: IdentityPath, session: LiveSession): void {
    const older = this.#entriesOf(this.#find(hub, deviceId)).find((entry) => entry.session === session);
    if (older !== undefined) this.#takeOver(hub, deviceId, older);
  }

  #takeOver(hub: string, deviceId: string, older: Entry): void {
    this.#close(older, 'taken-over').catch((error: unknown) => {
      this.#log.error('session.cut.failed', { hub, deviceId, reason: 'taken-over', error });
    });
  }

  /** Cuts a session once, however many ask; all of them wait for the same end. One that failed may be asked again. */
  #close({ session, member, leave }: Entry, reason: CutReason): Promise<void> {
    if (member.closing !== undefined) return member.closing;
    const closing = callCut(session, reason).then(leave, (error: unknown) => {
      member.closing = undefined;
      throw error;
    });
    member.closing = closing;
    return closing;
  }

  #entriesOf(presence: Presence | undefined): readonly Entry[] {
    return [...(presence?.sessions ?? [])].map(([session, member]) => ({
      session,
      member,
      leave: () => {
        if (presence !== undefined) this.#leave(presence, session);
      },
    }));
  }

  #leave(presence: Presence, session: LiveSession): void {
    if (!presence.sessions.delete(session)) return;
    if (presence.sessions.size === 0) this.#noteMove(presence);
    this.#onLeft?.(presence.hub, presence.path, session);
  }

  #noteMove(presence: Presence): void {
    presence.connectionChangedAt = this.#clock.now();
    presence.moved = true;
    this.#noteNews(presence);
  }

  #noteActivity(presence: Presence): void {
    presence.activeAt = this.#clock.now();
    this.#noteNews(presence);
  }

  /** A session may end after its identity was forgotten; what it was is nothing about whoever has the name next. */
  #noteNews(presence: Presence): void {
    if (this.#find(presence.hub, presence.path) === presence) this.#news.add(presence);
  }

  // One subscriber's bug must not keep the others, or the writer that just committed, from going on.
  #guarded(event: string, fields: LogFields, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#log.error(event, { ...fields, error });
    }
  }

  /** A removed device leaves nothing behind, or the maps would grow with every device that ever was. */
  #forget(hub: string, { path, presence }: { readonly path: IdentityPath; readonly presence: Presence }): void {
    if (presence.sessions.size > 0 || this.#find(hub, path) !== presence) return;
    this.#devicesOf(hub).delete(path);
    this.#news.delete(presence);
    this.#modules.forget(hub, path);
  }

  #find(hub: string, deviceId: string): Presence | undefined {
    return this.#presences.get(hub.toLowerCase())?.get(deviceId);
  }

  #presenceOf(hub: string, deviceId: string): Presence {
    const devices = this.#devicesOf(hub);
    const presence = devices.get(deviceId) ?? { hub, path: deviceId, sessions: new Map<LiveSession, Member>(), moved: false };
    devices.set(deviceId, presence);
    return presence;
  }

  #devicesOf(hub: string): Map<string, Presence> {
    const key = hub.toLowerCase();
    const devices = this.#presences.get(key) ?? new Map<string, Presence>();
    this.#presences.set(key, devices);
    return devices;
  }
}

function seenOf({ connectionChangedAt, activeAt }: Presence): Seen {
  return {
    ...(connectionChangedAt === undefined ? {} : { connectionChangedAt }),
    ...(activeAt === undefined ? {} : { activeAt }),
  };
}

/** A session that may be cut, and how it leaves the books. */
interface Entry {
  readonly session: Endable;
  readonly member: Member;
  readonly leave: () => void;
}

/** Hubs compare without case, queues and devices with it. */
function keyOf(bell: Bell): string {
  const hub = bell.hub.toLowerCase();
  switch (bell.about) {
    case 'telemetry':
      return JSON.stringify([hub, bell.about]);
    case 'queue':
      return JSON.stringify([hub, bell.about, bell.queue]);
    case 'methods':
      return JSON.stringify([hub, bell.about, bell.deviceId]);
    default:
      return assertNever(bell);
  }
}

/** A `cut` that throws at once fails like one that rejects later. */
async function callCut(session: Endable, reason: CutReason): Promise<void> {
  await session.cut(reason);
}
