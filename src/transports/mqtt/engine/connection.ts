import type { Packet } from 'mqtt-packet';
import { assertNever } from '../../../kernel/assert-never.ts';
import { seconds, type Cancel, type Clock, type Instant } from '../../../kernel/clock.ts';
import { type ByteAccount, type ByteBudget, unlimitedBytes } from '../../../kernel/byte-budget.ts';
import type { Ids } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { PeerConnection } from '../../connection.ts';
import type { MqttBinding, MqttLink, MqttSession, MqttTransport, OutboundMessage, SessionEnd } from './binding.ts';
import { ProtocolViolation, type CloseReason } from './close-reason.ts';
import { type Decoder, encode, encodePubacks, opensConnect, protocolLevel, type InboundPacket, type InboundPublish } from './codec.ts';
import { connackCodes, readConnect } from './connect.ts';
import { FrameReader } from './frame-reader.ts';
import { silenceLimit, watchIdle, type IdleWatch } from './idle-watch.ts';
import type { MqttLimits } from './limits.ts';
import { Outbox } from './outbox.ts';
import { PeerStream } from './peer-stream.ts';

/** What the engine is made of, but for what it makes itself. */
export interface EngineDeps {
  readonly bindings: readonly MqttBinding[];
  /** What all connections buffer together; none unless given. */
  readonly budget?: ByteBudget;
  readonly limits: MqttLimits;
  /** The CONNACK code for whatever a binding threw. */
  readonly refusalCode: (thrown: unknown) => number;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

export interface ConnectionDeps extends EngineDeps {
  readonly decoder: Decoder;
}

/** A packet that could not be read; kept as a value so that what came before it is dealt with first. */
interface Fault {
  readonly cmd: 'fault';
  readonly thrown: unknown;
}

/**
 * One client, from accept to close. Packets are dealt with one after the other, and nothing is read from the socket
 * while a binding works: a client that sends faster than we store is slowed by TCP, not buffered.
 */
export class MqttConnection {
  readonly #deps: ConnectionDeps;
  readonly #peer: Omit<PeerConnection, 'certificates'>;
  /** Until they are judged: the connection lives long, and they are some kilobytes. */
  #certificates: Iterable<Uint8Array>;
  readonly #transport: MqttTransport;
  readonly #budget: ByteBudget;
  readonly #account: ByteAccount;
  readonly #stream: PeerStream;
  readonly #frames = new FrameReader();
  readonly #outbox: Outbox;
  readonly #acceptedAt: Instant;
  readonly #cancelConnectTimer: Cancel;
  #watch: IdleWatch | undefined;
  #session: MqttSession | undefined;
  #clientId: string | undefined;
  #binding: string | undefined;
  #busy = false;
  #reason: CloseReason | undefined;
  #detail: string | undefined;

  /** Settles when the socket is closed and the session has dealt with that. */
  readonly done: Promise<void>;

  constructor(deps: ConnectionDeps, peer: PeerConnection, transport: MqttTransport) {
    this.#deps = deps;
    const { certificates, ...withoutThem } = peer;
    this.#peer = withoutThem;
    this.#certificates = certificates;
    this.#transport = transport;
    this.#budget = deps.budget ?? unlimitedBytes;
    this.#account = this.#budget.open();
    this.#stream = new PeerStream(peer.stream, deps.clock, () => this.#count());
    this.#outbox = new Outbox(deps.limits, (bytes, onTaken) => this.#write(bytes, onTaken));
    this.#acceptedAt = deps.clock.now();
    this.#cancelConnectTimer = deps.clock.after(seconds(deps.limits.connectSeconds), () => this.#destroy('connect-timeout'));
    this.done = this.#stream.closed.then(() => this.#finish());
    void this.#run();
  }

  /** Ends the connection for the sake of the whole service; MQTT 3.1.1 has no word for it, so the socket is closed. */
  shutDown(): Promise<void> {
    this.#end('shutting-down');
    return this.done;
  }

  async #run(): Promise<void> {
    for await (const chunk of this.#stream.chunks()) {
      this.#frames.push(chunk);
      this.#busy = true;
      this.#count();
      await this.#process().catch((thrown: unknown) => this.#fail(thrown));
      this.#busy = false;
      this.#count();
    }
    this.#destroy('lost', this.#stream.fault);
  }

  get #isOpen(): boolean {
    return this.#reason === undefined && this.#stream.isAlive;
  }

  async #process(): Promise<void> {
    if (this.#session === undefined) await this.#greet();
    let batch: InboundPublish[] = [];
    while (this.#isOpen && this.#session !== undefined) {
      const packet = this.#next(this.#session);
      if (packet?.cmd === 'publish') {
        batch.push(packet);
        if (batch.length < this.#deps.limits.inflight) continue;
      }
      if (batch.length > 0) await this.#receive(this.#session, batch);
      batch = [];
      if (packet === undefined) return;
      if (packet.cmd !== 'publish' && this.#isOpen) await this.#handle(this.#session, packet);
      this.#watch?.touch();
    }
  }

  #next(session: MqttSession): InboundPacket | Fault | undefined {
    try {
      const frame = this.#frames.take(session.maxPacketBytes);
      return frame === undefined ? undefined : this.#deps.decoder.decode(frame);
    } catch (thrown) {
      return { cmd: 'fault', thrown };
    }
  }

  /** Waits for a whole CONNECT, judges its form, and lets a binding judge the rest. */
  async #greet(): Promise<void> {
    const first = this.#frames.peek();
    if (first !== undefined && !opensConnect(first)) throw new ProtocolViolation('violation', 'the first packet is not CONNECT');
    const frame = this.#frames.take(this.#deps.limits.unauthenticatedBytes);
    if (frame === undefined) return;
    this.#cancelConnectTimer();
    if (protocolLevel(frame) !== 4) return this.#refuse(connackCodes.protocolLevel, 'protocol level is not 4');
    const packet = this.#deps.decoder.decode(frame);
    if (packet.cmd !== 'connect') throw new ProtocolViolation('malformed', 'not a CONNECT');
    const { remoteAddress, serverName } = this.#peer;
    const certificates = this.#certificates;
    this.#certificates = [];
    const peer = { transport: this.#transport, remoteAddress, ...(serverName !== undefined && { serverName }) };
    const request = readConnect(packet, { peer, certificates });
    if (typeof request === 'number') return this.#refuse(request, 'client id or user name missing');
    this.#clientId = request.clientId.slice(0, 256);
    const binding = this.#deps.bindings.find((candidate) => candidate.claims(request.userName));
    if (binding === undefined) return this.#refuse(connackCodes.badUserName, 'no service has user names of this form');
    this.#binding = binding.name;
    if (this.#budget.isSpent) return this.#refuse(this.#deps.refusalCode(outOfMemory()), 'the service buffers as much as it may');
    const session = await this.#connect(() => binding.connect(request, this.#link));
    if (session !== undefined) await this.#welcome(session, packet.keepalive ?? 0);
  }

  async #connect(connect: () => Promise<MqttSession>): Promise<MqttSession | undefined> {
    try {
      const session = await connect();
      if (this.#stream.isAlive) return session;
      await session.end(endOf(this.#reason));
    } catch (thrown) {
      if (!(thrown instanceof ServiceError)) this.#report(thrown);
      this.#refuse(this.#deps.refusalCode(thrown), thrown instanceof ServiceError ? describe(thrown) : 'unexpected failure');
    }
    return undefined;
  }

  async #welcome(session: MqttSession, keepAliveSeconds: number): Promise<void> {
    this.#session = session;
    if (!this.#isOpen) return;
    this.#watch = watchIdle({
      clock: this.#deps.clock,
      span: silenceLimit(keepAliveSeconds, this.#deps.limits.keepAliveSeconds),
      isBusy: () => this.#busy,
      onIdle: () => this.#destroy('keep-alive'),
    });
    for (const [filter, qos] of session.stored ?? []) this.#outbox.subscribe(filter, qos);
    this.#write(encode({ cmd: 'connack', returnCode: 0, sessionPresent: session.stored !== undefined }));
    await session.subscribed?.(this.#outbox.subscriptions);
  }

  readonly #link: MqttLink = {
    deliver: (message) => this.#deliver(message),
    track: (message, acknowledged) => (this.#isOpen ? this.#outbox.track(message, acknowledged) : undefined),
    cut: (reason) => {
      this.#destroy('cut', reason);
      return this.#stream.closed;
    },
  };

  #deliver(message: OutboundMessage): void {
    if (!this.#isOpen) return;
    this.#outbox.send(message);
    this.#checkConsumer();
  }

  /** Acknowledges what the session took, in order of arrival [MQTT-4.6.0-2], and only then answers. */
  async #receive(session: MqttSession, batch: readonly InboundPublish[]): Promise<void> {
    // MQTT 3.1.1 cannot refuse a message: the client connects again and is told so then.
    if (this.#budget.isSpent) throw outOfMemory();
    this.#count(batch.reduce((sum, { message }) => sum + message.payload.length, 0));
    let rest = batch;
    while (rest.length > 0 && this.#isOpen) {
      const { taken, replies } = await session.take(rest.map((packet) => packet.message));
      const ids = rest.slice(0, taken).flatMap((packet) => (packet.message.qos === 1 ? [packet.messageId] : []));
      rest = rest.slice(Math.max(taken, 1));
      this.#stream.together(() => {
        if (ids.length > 0) this.#write(encodePubacks(ids));
        for (const reply of replies) this.#deliver(reply);
      });
    }
  }

  async #handle(session: MqttSession, packet: Exclude<InboundPacket, InboundPublish> | Fault): Promise<void> {
    switch (packet.cmd) {
      case 'subscribe': {
        if (packet.subscriptions.length === 0) throw new ProtocolViolation('malformed', 'SUBSCRIBE without a filter');
        const granted = packet.subscriptions.map(({ topic, qos }) => (session.grants(topic) ? this.#outbox.subscribe(topic, qos) : 128));
        await session.subscribed?.(this.#outbox.subscriptions);
        return this.#send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted });
      }
      case 'unsubscribe':
        if (packet.unsubscriptions.length === 0) throw new ProtocolViolation('malformed', 'UNSUBSCRIBE without a filter');
        for (const filter of packet.unsubscriptions) this.#outbox.unsubscribe(filter);
        await session.subscribed?.(this.#outbox.subscriptions);
        return this.#send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted: [] });
      case 'puback':
        return this.#outbox.acknowledged(packet.messageId ?? 0);
      case 'pingreq':
        return this.#send({ cmd: 'pingresp' });
      case 'disconnect':
        return this.#end('disconnected');
      case 'fault':
        throw packet.thrown;
      case 'connect':
        throw new ProtocolViolation('violation', 'a second CONNECT');
      case 'connack':
      case 'pubrec':
      case 'pubrel':
      case 'pubcomp':
      case 'suback':
      case 'unsuback':
      case 'pingresp':
      case 'auth':
        throw new ProtocolViolation('violation', `${packet.cmd} from a client`);
      default:
        return assertNever(packet);
    }
  }

  #send(packet: Packet): void {
    this.#write(encode(packet));
  }

  #write(bytes: Buffer, onTaken?: () => void): void {
    this.#stream.write(bytes, onTaken);
    this.#checkConsumer();
  }

  /** Tells the budget of everything that is held for this client. */
  #count(handedOver = 0): void {
    this.#account.set(this.#frames.bytes + handedOver + this.#outbox.waitingBytes + this.#stream.pendingBytes);
  }

  #checkConsumer(): void {
    this.#count();
    const waiting = this.#outbox.waitingBytes + this.#stream.pendingBytes;
    const limit = this.#deps.limits.outboundBytes;
    if (waiting > limit) this.#destroy('slow-consumer', `${waiting} bytes wait for the client, ${limit} are permitted`);
  }

  #refuse(returnCode: number, detail: string): void {
    this.#write(encode({ cmd: 'connack', returnCode, sessionPresent: false }));
    this.#end('refused', `CONNACK ${returnCode}: ${detail}`);
  }

  /** A client that got in is closed behind what was written to it (its PUBACKs); a stranger at once. */
  #fail(thrown: unknown): void {
    if (thrown instanceof ProtocolViolation) {
      if (this.#session === undefined) this.#destroy(thrown.reason, thrown.message);
      else this.#end(thrown.reason, thrown.message);
    } else if (thrown instanceof ServiceError) this.#end('rejected', describe(thrown));
    else this.#end('failed', this.#report(thrown));
  }

  #report(thrown: unknown): string {
    const trackingId = this.#deps.ids.trackingId();
    this.#deps.log.error('mqtt.failure', { trackingId, binding: this.#binding, error: thrown });
    return trackingId;
  }

  #destroy(reason: CloseReason, detail?: string): void {
    this.#settle(reason, detail);
    this.#stream.destroy();
  }

  #end(reason: CloseReason, detail?: string): void {
    this.#settle(reason, detail);
    this.#stream.end();
  }

  /** The first reason is the true one; later ones are its echoes. */
  #settle(reason: CloseReason, detail: string | undefined): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#detail = detail;
  }

  async #finish(): Promise<void> {
    this.#account.close();
    this.#cancelConnectTimer();
    this.#watch?.stop();
    this.#settle('lost', this.#stream.fault);
    await this.#session?.end(endOf(this.#reason)).catch((thrown: unknown) => this.#report(thrown));
    this.#deps.log.info('mqtt.connection', {
      outcome: this.#reason,
      detail: this.#detail,
      binding: this.#binding,
      clientId: this.#clientId,
      transport: this.#transport,
      remoteAddress: this.#peer.remoteAddress,
      serverName: this.#peer.serverName,
      bytesIn: this.#stream.bytesIn,
      bytesOut: this.#stream.bytesOut,
      durationMilliseconds: this.#deps.clock.now() - this.#acceptedAt,
      ...this.#session?.logFields,
    });
  }
}

const outOfMemory = (): ServiceError =>
  new ServiceError('ServerBusy', 'The service buffers as much as it may. Try again later.', { detail: 'buffered bytes' });

function endOf(reason: CloseReason | undefined): SessionEnd {
  if (reason === 'disconnected') return 'disconnect';
  if (reason === 'cut') return 'cut';
  return reason === 'shutting-down' ? 'shutdown' : 'lost';
}

const describe = (error: ServiceError): string =>
  error.detail === undefined ? `${error.error}: ${error.message}` : `${error.error}: ${error.message} (${error.detail})`;
