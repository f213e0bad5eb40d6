import type { IdentityPath } from '../contracts/hub/identity-path.ts';
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
import { assertNever } from '../kernel/assert-never.ts';
import { type Clock, type Instant, seconds } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Logger } from '../kernel/logger.ts';
import { createMemberQuestions } from './ask-members.ts';
import type { MemberId } from './channel.ts';
import { createLocalBus, type LocalSessions } from './local.ts';
import { createRemoteCalls, type RemoteCalls } from './remote-calls.ts';
import { createRemotePresences, type Identity, latest, type RemoteSession } from './remote-presences.ts';
import type { Topic, Topics } from './topics.ts';

/** What members tell each other. Answers and what else concerns one of them name it in `to`. */
type Message =
  | ({ readonly kind: 'joined'; readonly join: number; readonly at: Instant } & Identity)
  | ({ readonly kind: 'left'; readonly join: number; readonly at: Instant } & Identity)
  | ({ readonly kind: 'active'; readonly at: Instant } & Identity)
  | {
      readonly kind: 'state';
      readonly to: MemberId;
      readonly held: readonly (Identity & { readonly joins: readonly number[]; readonly seen: Seen })[];
    }
  | ({ readonly kind: 'desired'; readonly patch: JsonObject } & Identity)
  | { readonly kind: 'ring'; readonly bell: Bell }
  | { readonly kind: 'cut'; readonly number: number; readonly cut: Cut }
  | { readonly kind: 'cut-done'; readonly to: MemberId; readonly number: number; readonly answer: CutAnswer }
  | ({ readonly kind: 'forgotten' } & Identity);

type Cut =
  | ({ readonly of: 'identity'; readonly cause: CutCause } & Identity)
  | { readonly of: 'keys'; readonly keys: readonly string[]; readonly reason: CutReason };

type CutAnswer = { readonly result: CutResult } | { readonly failure: string };

/** Where a session of this member stands among all that ever joined. */
interface Place {
  readonly number: number;
  /** Whether the channel has said so: then whoever is heard of later has come later. */
  isHeard: boolean;
}

/** Devices that are active are told of once in this time. */
const activityInterval = seconds(1);

/** Told at a time to a member that comes. */
const statePortion = 1000;

/**
 * The bus of one of several processes: the sessions of its own, and what the others tell of theirs. Who comes last keeps a device,
 * and what is last is what the channel says last, so that all agree.
 */
export function createWorkersBus(deps: { readonly topics: Topics; readonly clock: Clock; readonly log: Logger }): SessionBus {
  return new WorkersBus(deps);
}

class WorkersBus implements SessionBus {
  readonly #clock: Clock;
  readonly #topic: Topic;
  readonly #local: LocalSessions;
  readonly #remote = createRemotePresences();
  readonly #cuts = createMemberQuestions<CutAnswer>();
  readonly #calls: RemoteCalls;
  readonly #activity: { note(identity: Identity): void };
  /** The sessions of this member, by identity, until they have left. */
  readonly #joins = new Map<string, Identity & { readonly places: Map<LiveSession, Place> }>();
  /** Whom only a member held that is gone: nobody else can write down that they have left. */
  readonly #orphans = new Map<string, Identity>();
  readonly #outgoing: Message[] = [];
  /** Bells that are told of in this turn. */
  readonly #ringing = new Set<string>();
  #joined = 0;

  constructor(deps: { readonly topics: Topics; readonly clock: Clock; readonly log: Logger }) {
    const { topics, clock } = deps;
    this.#clock = clock;
    this.#local = createLocalBus({ ...deps, onLeft: (hub, path, session) => this.#left({ hub, path }, session) });
    this.#calls = createRemoteCalls({
      topic: topics.topic('methods'),
      local: this.#local,
      holders: (hub, path) => this.#remote.holders(hub, path),
    });
    this.#activity = createActivity({ clock, tell: (identity) => this.#tellActive(identity) });
    this.#topic = topics.topic('sessions');
    this.#topic.onMessage((from, messages) => {
      for (const message of messages as readonly Message[]) this.#hear(from, message);
    });
    this.#topic.onJoin((member) => this.#welcome(member));
    this.#topic.onLeave((member) => this.#miss(member));
  }

  join(hub: string, path: IdentityPath, session: LiveSession, keys: readonly string[] = []): () => void {
    const leave = this.#local.join(hub, path, session, keys);
    const key = keyOf({ hub, path });
    const own = this.#joins.get(key) ?? { hub, path, places: new Map<LiveSession, Place>() };
    this.#joins.set(key, own);
    // One that joins again, with a renewed token, keeps its place.
    if (own.places.has(session)) return leave;
    this.#joined += 1;
    own.places.set(session, { number: this.#joined, isHeard: false });
    this.#orphans.delete(key);
    this.#tell({ kind: 'joined', hub, path, join: this.#joined, at: this.#clock.now() });
    return leave;
  }

  attend(session: Endable, keys: readonly string[]): () => void {
    return this.#local.attend(session, keys);
  }

  async cut(hub: string, path: IdentityPath, cause: CutCause): Promise<CutResult> {
    const result = await this.#cutEverywhere({ of: 'identity', hub, path, cause });
    const { reason } = typeof cause === 'string' ? { reason: cause } : cause;
    if (reason === 'device-deleted') this.#tell({ kind: 'forgotten', hub, path });
    return result;
  }

  cutCovered(keys: readonly string[], reason: CutReason): Promise<CutResult> {
    return this.#cutEverywhere({ of: 'keys', keys, reason });
  }

  notifyDesired(hub: string, path: IdentityPath, patch: JsonObject): void {
    this.#local.notifyDesired(hub, path, patch);
    this.#tell({ kind: 'desired', hub, path, patch });
  }

  isConnected(hub: string, path: IdentityPath): boolean {
    return this.#local.isConnected(hub, path) || this.#remote.holders(hub, path).length > 0;
  }

  connectedDevices(hub: string): number {
    let count = this.#local.connectedDevices(hub);
    for (const path of this.#remote.heldDevices(hub)) if (!this.#local.isConnected(hub, path)) count += 1;
    return count;
  }

  lastSeen(hub: string, path: IdentityPath): Seen {
    return latest(this.#local.lastSeen(hub, path), this.#remote.seen(hub, path));
  }

  takePresence(options: Parameters<SessionBus['takePresence']>[0]): readonly PresenceRow[] {
    const left = [...this.#orphans].slice(0, options.limit);
    for (const [key] of left) this.#orphans.delete(key);
    const own = this.#local.takePresence({ ...options, limit: options.limit - left.length });
    const identities = [...left.map(([, identity]) => identity), ...own.map(({ hub, deviceId: path }) => ({ hub, path }))];
    // One that went from here to another member is connected still.
    return identities.map(({ hub, path }) => ({
      hub,
      deviceId: path,
      connected: this.isConnected(hub, path),
      ...this.lastSeen(hub, path),
    }));
  }

  touch(hub: string, path: IdentityPath): void {
    this.#local.touch(hub, path);
    this.#activity.note({ hub, path });
  }

  async callMethod(hub: string, path: IdentityPath, call: MethodCall, signal: AbortSignal): Promise<MethodOutcome | undefined> {
    return (await this.#local.callMethod(hub, path, call, signal)) ?? (await this.#calls.call({ hub, path }, call, signal));
  }

  listen(bell: Bell, listener: () => void): () => void {
    return this.#local.listen(bell, listener);
  }

  ring(bell: Bell): void {
    this.#local.ring(bell);
    const key = JSON.stringify(bell);
    if (this.#ringing.has(key)) return;
    this.#ringing.add(key);
    this.#tell({ kind: 'ring', bell });
  }

  /** What is told within one turn goes together. */
  #tell(message: Message): void {
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    this.#outgoing.push(message);
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return;
    this.#ringing.clear();
    this.#topic.tell(this.#outgoing.splice(0));
  }

  #tellActive({ hub, path }: Identity): void {
    const at = this.#local.lastSeen(hub, path).activeAt;
    if (at !== undefined) this.#tell({ kind: 'active', hub, path, at });
  }

  #welcome(member: MemberId): void {
    // Of those that have no place yet, it hears by itself.
    const held = [...this.#joins.values()].flatMap(({ hub, path, places }) => {
      const joins = [...places.values()].filter(({ isHeard }) => isHeard).map(({ number }) => number);
      return joins.length === 0 ? [] : [{ hub, path, joins, seen: this.#local.lastSeen(hub, path) }];
    });
    for (let at = 0; at < held.length; at += statePortion)
      this.#tell({ kind: 'state', to: member, held: held.slice(at, at + statePortion) });
  }

  #miss(member: MemberId): void {
    this.#cuts.gone(member);
    // One of those who stay is enough to write it down: the service itself, whose name comes first and which outlives its workers.
    const isFirst = this.#topic.others.every((other) => this.#topic.self < other);
    for (const left of this.#remote.gone(member, this.#clock.now())) {
      if (isFirst && !this.#local.isConnected(left.hub, left.path)) this.#orphans.set(keyOf(left), left);
    }
  }

  #hear(from: MemberId, message: Message): void {
    if ('to' in message && message.to !== this.#topic.self) return;
    const isOwn = from === this.#topic.self;
    switch (message.kind) {
      case 'joined':
        return isOwn ? this.#placed(message, message.join) : this.#comeElsewhere(from, message);
      case 'left':
        return isOwn ? undefined : this.#remote.left(from, message, message);
      case 'active':
        return isOwn ? undefined : this.#remote.active(message, message.at);
      case 'state':
        return this.#takeState(from, message.held);
      case 'desired':
        return isOwn ? undefined : this.#local.notifyDesired(message.hub, message.path, message.patch);
      case 'ring':
        return isOwn ? undefined : this.#local.ring(message.bell);
      case 'cut':
        return isOwn ? this.#cuts.heard(message.number, this.#topic.others) : void this.#answerCut(from, message);
      case 'cut-done':
        return this.#cuts.answered(message.number, from, message.answer);
      case 'forgotten':
        return this.#remote.forget(message);
      default:
        return assertNever(message);
    }
  }

  /** A session of this member has its place in the order. */
  #placed(identity: Identity, number: number): void {
    for (const place of this.#joins.get(keyOf(identity))?.places.values() ?? []) if (place.number === number) place.isHeard = true;
  }

  #comeElsewhere(from: MemberId, { hub, path, join, at }: Identity & RemoteSession): void {
    this.#remote.joined(from, { hub, path }, { join, at });
    for (const [session, { isHeard }] of this.#joins.get(keyOf({ hub, path }))?.places ?? []) {
      if (isHeard) this.#local.takeOver(hub, path, session);
    }
  }

  #takeState(from: MemberId, held: Extract<Message, { kind: 'state' }>['held']): void {
    for (const { hub, path, joins, seen } of held) {
      const at = seen.connectionChangedAt ?? this.#clock.now();
      for (const join of joins) this.#remote.joined(from, { hub, path }, { join, at });
      this.#remote.know({ hub, path }, seen);
    }
  }

  async #answerCut(from: MemberId, { number, cut }: Extract<Message, { kind: 'cut' }>): Promise<void> {
    const answer = await this.#cutHere(cut).then(
      (result): CutAnswer => ({ result }),
      (error: unknown): CutAnswer => ({ failure: error instanceof Error ? error.message : String(error) }),
    );
    this.#tell({ kind: 'cut-done', to: from, number, answer });
  }

  /** Ids of sessions are told apart by their member. */
  async #cutHere(cut: Cut): Promise<CutResult> {
    const cutting = cut.of === 'identity' ? this.#local.cut(cut.hub, cut.path, cut.cause) : this.#local.cutCovered(cut.keys, cut.reason);
    const result = await cutting;
    return { ...result, closed: result.closed.map((closed) => ({ ...closed, session: `${this.#topic.self}/${closed.session}` })) };
  }

  async #cutEverywhere(cut: Cut): Promise<CutResult> {
    const startedAt = this.#clock.now();
    const { number, answers } = this.#cuts.ask();
    this.#tell({ kind: 'cut', number, cut });
    this.#flush();
    const [own] = await Promise.allSettled([this.#cutHere(cut)]);
    const results: CutResult[] = own.status === 'fulfilled' ? [own.value] : [];
    const failures: unknown[] = own.status === 'rejected' ? [own.reason] : [];
    for (const [member, answer] of await answers) {
      if ('result' in answer) results.push(answer.result);
      else failures.push(new Error(`${member}: ${answer.failure}`));
    }
    if (failures.length > 0) throw new AggregateError(failures, `Sessions could not be closed at ${failures.length} processes.`);
    const closed = results.flatMap((result) => result.closed);
    return { sessions: closed.length, elapsedMilliseconds: this.#clock.now() - startedAt, closed };
  }

  #left(identity: Identity, session: LiveSession): void {
    const key = keyOf(identity);
    const own = this.#joins.get(key);
    const place = own?.places.get(session);
    if (own === undefined || place === undefined) return;
    own.places.delete(session);
    if (own.places.size === 0) this.#joins.delete(key);
    this.#tell({ kind: 'left', ...identity, join: place.number, at: this.#clock.now() });
  }
}

/** Tells of activity at once, and then once in a while as long as it goes on. */
function createActivity({ clock, tell }: { readonly clock: Clock; readonly tell: (identity: Identity) => void }) {
  /** Told of in this interval; `true` when there is more to tell at its end. */
  const told = new Map<string, { readonly identity: Identity; isDue: boolean }>();
  function nextInterval(): void {
    const due = [...told.values()].filter(({ isDue }) => isDue);
    told.clear();
    for (const { identity } of due) note(identity);
  }
  function note(identity: Identity): void {
    const key = keyOf(identity);
    const known = told.get(key);
    if (known !== undefined) return void (known.isDue = true);
    if (told.size === 0) clock.after(activityInterval, nextInterval);
    told.set(key, { identity, isDue: false });
    tell(identity);
  }
  return { note };
}

/** Hubs compare without case. */
const keyOf = ({ hub, path }: Identity): string => `${hub.toLowerCase()}\n${path}`;
