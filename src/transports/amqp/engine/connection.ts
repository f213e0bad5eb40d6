import { type ByteBudget, unlimitedBytes } from '../../../kernel/byte-budget.ts';
import { type Cancel, type Clock, seconds } from '../../../kernel/clock.ts';
import type { Ids } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import type { PeerConnection } from '../../connection.ts';
import { type AmqpError, errorFields } from './amqp-error.ts';
import type { AmqpBinding, AmqpConnection, AmqpPeer, AmqpTransport, LinkHandler } from './binding.ts';
import {
  checkAttach,
  checkBegin,
  checkDisposition,
  checkOpen,
  checkTransfer,
  hideTermini,
  idleOf,
  ignoreTransfer,
  PeerFault,
  tameFlow,
} from './frame-guards.ts';
import { FrameReader, FramingError, ownHeader } from './frame-reader.ts';
import { keepAlive } from './heartbeat.ts';
import { HeldBytes } from './held-bytes.ts';
import type { AmqpLimits } from './limits.ts';
import { guardInput, guardOutput } from './guarded-rhea.ts';
import { PeerLink } from './link.ts';
import { answerFlow } from './outgoing.ts';
import { PeerSocket } from './peer-socket.ts';
import { hardenOutgoing, type RheaConnection, type RheaFrame, type RheaLink, type RheaSession } from './rhea.ts';
import { createServerRhea } from './server-rhea.ts';
import { createSaslMechanisms, type PlainCredentials, type SaslExchange } from './sasl.ts';

export interface ConnectionDeps {
  readonly peer: PeerConnection;
  readonly transport: AmqpTransport;
  readonly limits: AmqpLimits;
  /** What all connections buffer together; none unless given. */
  readonly budget?: ByteBudget;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Renders whatever a binding threw. */
  readonly renderError: (thrown: unknown) => AmqpError;
  readonly bind: (connection: AmqpConnection) => AmqpBinding;
  /** SASL mechanisms of the bindings, by name. */
  readonly exchanges?: Readonly<Record<string, () => SaslExchange>>;
}

type Decision = { readonly link: PeerLink } & ({ readonly handler: LinkHandler } | { readonly refusal: AmqpError });

const malformed: AmqpError = { condition: 'amqp:decode-error', description: 'The connection is not well-formed AMQP.' };
const outOfMemory = (): PeerFault => new PeerFault('amqp:resource-limit-exceeded', 'The service buffers as much as it may.');

/** One peer, from accept to close. rhea speaks the protocol; everything it takes on trust is held back here first. */
export class ServerConnection implements AmqpConnection {
  readonly peer: AmqpPeer;
  readonly certificates: Iterable<Uint8Array>;
  readonly closed: Promise<void>;
  hostName: string | undefined;
  plain: PlainCredentials | undefined;
  readonly #deps: ConnectionDeps;
  readonly #socket: PeerSocket;
  readonly #budget: ByteBudget;
  readonly #held: HeldBytes;
  readonly #reader: FrameReader;
  readonly #rhea: RheaConnection;
  readonly #binding: AmqpBinding;
  readonly #links = new Map<RheaLink, PeerLink>();
  readonly #outgoingOf = (link: RheaLink) => this.#links.get(link)?.outgoing;
  readonly #timers: Cancel[] = [];
  readonly #startedAt;
  #cancelConnectTimer: Cancel = () => {};
  #lastIn;
  readonly #sessions = new Set<RheaSession>();
  #open = false;
  #settled = false;
  /** A decision about a link is being waited for, and what follows it with it. */
  #deciding = false;
  #decision: Promise<void> = Promise.resolve();
  #pumping = false;
  #over = false;
  #linkCount = 0;
  readonly #counts = { bytesIn: 0, attaches: 0, refusals: 0 };
  #ended: string | undefined;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    const { stream, remoteAddress, serverName } = deps.peer;
    this.peer = { transport: deps.transport, remoteAddress, ...(serverName === undefined ? {} : { serverName }) };
    this.certificates = deps.peer.certificates;
    this.#startedAt = this.#lastIn = deps.clock.now();
    this.#budget = deps.budget ?? unlimitedBytes;
    this.#socket = new PeerSocket({
      stream,
      clock: deps.clock,
      outboundBytes: deps.limits.outboundBytes,
      onEnd: () => this.#finish('closed'),
      onOverflow: () => this.#abort('slow consumer'),
      onChange: () => this.#held.recount(),
    });
    this.#reader = new FrameReader(() => (this.#open ? deps.limits.frameBytes : deps.limits.unauthenticatedBytes));
    this.#held = new HeldBytes(this.#budget, deps.limits.inflightBytes, () => this.#reader.bytes + this.#socket.pendingBytes);
    this.#rhea = this.#createRhea();
    this.#binding = deps.bind(this);
    this.closed = this.#socket.closed.then(() => this.#decision).then(() => this.#closed());
    this.#expectWithin('no OPEN in time');
    stream.on('data', (chunk: Buffer) => this.#received(chunk));
    stream.on('end', () => this.#finish('peer left'));
  }

  async cut(error: AmqpError): Promise<void> {
    for (const link of this.#links.values()) link.detach(error);
    // Node's SDK waits for an END before it believes a CLOSE, and would hold its caller for ever without one.
    for (const session of this.#sessions) session.end();
    this.#sayClose(error);
    this.#finish(`cut: ${error.condition}`);
    await this.#socket.handedOver;
  }

  settle(): void {
    this.#settled = true;
    this.#cancelConnectTimer();
  }

  async flush(): Promise<void> {
    if (!this.#over) this.#rhea._process();
    const cancel = this.#deps.clock.after(seconds(1), () => this.#abort('slow consumer'));
    await this.#socket.drained();
    cancel();
  }

  #createRhea(): RheaConnection {
    const { limits, ids, peer } = this.#deps;
    const [leaf] = peer.certificates;
    const mechanisms = createSaslMechanisms({
      hasCertificate: leaf !== undefined,
      onPlain: (credentials) => (this.plain ??= credentials),
      ...this.#deps,
    });
    const id = `DeviceGateway_${ids.guid().replaceAll('-', '')}`;
    const connection = createServerRhea({ limits, id, mechanisms, onFault: (error) => this.#fail(error) });
    this.#guard(connection);
    connection.accept(this.#socket);
    return connection;
  }

  /** Puts our own look at performatives before rhea's. What is thrown here ends the connection. */
  #guard(connection: RheaConnection): void {
    const { limits } = this.#deps;
    guardOutput(connection, (error) => this.#fail(error));
    guardInput(connection, {
      open: (frame, pass) => {
        checkOpen(frame);
        pass();
        this.#opened(frame);
      },
      begin: (frame, pass) => {
        // The first one, by which time OPEN is answered and the refusal can be said.
        if (this.#budget.isSpent && this.#sessions.size === 0) throw outOfMemory();
        checkBegin(frame, connection, this.#settled ? limits.sessions : limits.unsettledSessions);
        pass();
        this.#begun(connection.remote_channel_map[frame.channel]);
      },
      attach: (frame, pass) => {
        checkAttach(frame, connection, { ...limits, linkCount: this.#links.size });
        this.#decide(frame, pass);
      },
      flow: (frame, pass) => {
        tameFlow(frame, connection);
        pass();
        answerFlow(frame, connection.remote_channel_map[frame.channel], this.#outgoingOf);
      },
      transfer: (frame, pass) => {
        const link = connection.remote_channel_map[frame.channel]?.remote.handles[frame.performative['handle'] as number];
        const known = link === undefined ? undefined : this.#links.get(link);
        checkTransfer(frame, link);
        if (known === undefined) ignoreTransfer(frame, link);
        else known.admit(frame);
        pass();
      },
      disposition: (frame, pass) => {
        checkDisposition(frame);
        pass();
      },
      end: (frame, pass) => {
        const session = connection.remote_channel_map[frame.channel];
        pass();
        if (session !== undefined) this.#sessions.delete(session);
        this.#forget((link) => link.session === session);
      },
    });
  }

  #received(chunk: Buffer): void {
    if (this.#over) return;
    this.#lastIn = this.#deps.clock.now();
    this.#counts.bytesIn += chunk.length;
    this.#reader.push(chunk);
    this.#pump();
    this.#held.recount();
  }

  /** Feeds rhea one whole frame at a time, and stops reading while a decision or too much work is under way. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#mayFeed() && this.#feed());
    } catch (error) {
      this.#fail(error);
    }
    this.#pumping = false;
    const { stream } = this.#deps.peer;
    if (this.#mayFeed() || this.#over) stream.resume();
    else stream.pause();
  }

  #mayFeed(): boolean {
    return !this.#over && !this.#deciding && !this.#held.isFull;
  }

  #feed(): boolean {
    // A client need not wait for the outcome of SASL before it goes on; rhea has to, and decides within this turn.
    if (this.#reader.isAtSecondHeader && !this.#saslDone()) return false;
    const unit = this.#reader.next();
    if (unit === undefined) return false;
    this.#socket.emit('data', unit.bytes);
    if (!this.#open) setImmediate(() => this.#pump());
    return true;
  }

  #saslDone(): boolean {
    return this.#rhea.sasl_transport?.selected?.transport?.read_complete === true;
  }

  #opened({ performative }: RheaFrame): void {
    const { clock } = this.#deps;
    this.#open = true;
    this.hostName = typeof performative['hostname'] === 'string' ? performative['hostname'] : undefined;
    if (this.hostName !== undefined) this.#rhea.local.open['hostname'] = this.hostName;
    this.#expectWithin('no link in time');
    const idle = idleOf(performative);
    // rhea would count on timers of its own; here the clock is an argument.
    performative['idle_time_out'] = undefined;
    const kept = keepAlive({
      clock,
      peerIdleMilliseconds: idle,
      idleSeconds: this.#deps.limits.idleSeconds,
      socket: this.#socket,
      lastIn: () => (this.#mayFeed() ? this.#lastIn : clock.now()),
      onSilence: () => this.#fail(new PeerFault('amqp:connection:forced', 'Nothing was heard for too long.')),
    });
    this.#timers.push(...kept);
  }

  #begun(session: RheaSession | undefined): void {
    if (session === undefined) return;
    this.#sessions.add(session);
    // OPEN may not be written yet; it will be by then.
    process.nextTick(() => this.#stopRheaTimers());
    session.local.begin['handle_max'] = this.#deps.limits.links - 1;
    hardenOutgoing(session);
    // Without a prototype: the names of links are the peer's.
    session.links = Object.create(null) as Record<string, RheaLink>;
  }

  /** Once OPEN is written, the field does nothing but arm a timer of rhea's. */
  #stopRheaTimers(): void {
    this.#rhea.local.open['idle_time_out'] = undefined;
  }

  /** Asks the binding about a link before rhea hears of it: rhea would answer the ATTACH on the next tick. */
  #decide(frame: RheaFrame, pass: () => void): void {
    const link = new PeerLink(frame.performative, {
      ...this.#deps.limits,
      outgoingOf: this.#outgoingOf,
      tag: () => Buffer.from(this.#deps.ids.bytes(16)),
      renderError: this.#deps.renderError,
      inflight: (bytes) => this.#busy(bytes),
      unfinished: (bytes) => this.#held.begin(bytes),
      waiting: (bytes) => this.#held.wait(bytes),
      isBusy: () => this.#budget.isSpent,
      taken: () => this.#socket.taken(),
      tooSlow: () => this.#abort('slow consumer'),
      wake: () => this.#rhea._register(),
      writeNow: () => this.#over || this.#rhea._process(),
    });
    hideTermini(frame);
    this.#deciding = true;
    this.#counts.attaches += 1;
    this.#decision = this.#binding
      .attach(link)
      .then(
        (handler): Decision => ({ link, handler }),
        (thrown: unknown): Decision => ({ link, refusal: this.#deps.renderError(thrown) }),
      )
      .then((decision) => this.#decided(frame, pass, decision))
      .catch((error: unknown) => this.#fail(error));
  }

  #decided(frame: RheaFrame, pass: () => void, decision: Decision): void {
    this.#deciding = false;
    if (!this.#over) this.#answer(frame, pass, decision);
    else if ('handler' in decision) decision.handler.closed?.();
    this.#pump();
  }

  #answer(frame: RheaFrame, pass: () => void, decision: Decision): void {
    pass();
    const session = this.#rhea.remote_channel_map[frame.channel];
    const attached = session?.remote.handles[frame.performative['handle'] as number];
    if (session === undefined || attached === undefined) return;
    // rhea keys links by name alone; names are unique per direction, and C# attaches the same one again (hub chapter 4.2).
    this.#linkCount += 1;
    delete session.links[attached.name];
    attached.name = `${attached.name}#${this.#linkCount}`;
    session.links[attached.name] = attached;
    this.#links.set(attached, decision.link);
    if ('handler' in decision) {
      decision.link.accept(attached, decision.handler);
      if (decision.handler.isProvisional !== true) this.settle();
    } else {
      this.#counts.refusals += 1;
      decision.link.refuse(attached, decision.refusal);
    }
    this.#forget((_, link) => link.isClosed);
  }

  /** Removes links from the books: theirs of a session that ended, ours that are closed. */
  #forget(isOver: (link: RheaLink, ours: PeerLink) => boolean): void {
    for (const [link, ours] of this.#links) {
      if (!isOver(link, ours)) continue;
      ours.gone();
      this.#links.delete(link);
    }
  }

  #busy(bytes: number): void {
    this.#held.handle(bytes);
    if (bytes < 0) this.#pump();
  }

  #expectWithin(reason: string): void {
    this.#cancelConnectTimer();
    this.#cancelConnectTimer = this.#deps.clock.after(seconds(this.#deps.limits.connectSeconds), () =>
      this.#fail(new PeerFault('amqp:connection:forced', reason)),
    );
  }

  /** Whatever went wrong, the peer hears of it if it can, and the connection ends. */
  #fail(thrown: unknown): void {
    if (this.#over) return;
    const description = thrown instanceof Error ? thrown.message : String(thrown);
    const error = thrown instanceof PeerFault ? thrown.error : malformed;
    if (this.#open) this.#sayClose(thrown instanceof FramingError ? { condition: 'amqp:connection:framing-error', description } : error);
    else if (thrown instanceof FramingError) this.#socket.write(ownHeader);
    this.#finish(`${error.condition}: ${description.slice(0, 200)}`);
  }

  #sayClose(error: AmqpError): void {
    if (this.#over || !this.#rhea.state.local_open) return;
    this.#rhea.close(errorFields(error));
    this.#rhea._process();
  }

  #abort(reason: string): void {
    this.#ended ??= reason;
    this.#over = true;
    this.#socket.destroy();
  }

  /** Our last words are written: nothing that the peer sends from here on counts. */
  #finish(reason: string): void {
    if (this.#over) return;
    this.#ended ??= reason;
    this.#over = true;
    this.#forget(() => true);
    this.#socket.finish();
  }

  #closed(): void {
    this.#over = true;
    this.#cancelConnectTimer();
    for (const cancel of this.#timers) cancel();
    this.#stopRheaTimers();
    this.#socket.emit('end');
    this.#forget(() => true);
    this.#held.close();
    this.#binding.closed();
    const { log, clock } = this.#deps;
    log.info('amqp.connection', {
      ...this.peer,
      hostName: this.hostName?.slice(0, 256),
      milliseconds: clock.now() - this.#startedAt,
      bytesOut: this.#socket.bytesOut,
      ...this.#counts,
      reason: this.#ended ?? 'lost',
      fault: this.#socket.fault,
    });
  }
}
