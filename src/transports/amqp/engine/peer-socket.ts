import { EventEmitter } from 'node:events';
import { finished, type Duplex } from 'node:stream';
import { type Cancel, type Clock, type Instant, seconds } from '../../../kernel/clock.ts';

/** How long a peer may take to read our last words and close its side. */
const lingerSeconds = 1;

/**
 * The byte side of one connection, in the shape that rhea takes for a socket: it emits `data` and `end`, and rhea
 * calls `write` and `end`. What arrives passes through the engine first, so rhea sees whole frames only.
 */
export class PeerSocket extends EventEmitter {
  readonly #stream: Duplex;
  readonly #clock: Clock;
  readonly closed: Promise<void>;
  /** Resolves when the socket is closed, or after `finish` when the kernel has our last words. */
  readonly handedOver: Promise<void>;
  readonly #onEnd: () => void;
  readonly #onOverflow: () => void;
  readonly #onChange: () => void;
  readonly #outboundBytes: number;
  readonly #drained = new Set<() => void>();
  #pendingWrites = 0;
  #failedWrites = 0;
  #ending = false;
  #corked = false;
  #cancelLinger: Cancel = () => {};
  #fault: string | undefined;
  #lastOut: Instant;
  bytesOut = 0;

  constructor(deps: {
    readonly stream: Duplex;
    readonly clock: Clock;
    readonly outboundBytes: number;
    /** rhea wants the socket closed: both sides said CLOSE, or it gave up. */
    readonly onEnd: () => void;
    /** More bytes wait for the peer than it may cost. */
    readonly onOverflow: () => void;
    /** `pendingBytes` is another. */
    readonly onChange: () => void;
  }) {
    super();
    this.#stream = deps.stream;
    this.#clock = deps.clock;
    this.#outboundBytes = deps.outboundBytes;
    this.#onEnd = deps.onEnd;
    this.#onOverflow = deps.onOverflow;
    this.#onChange = deps.onChange;
    this.#lastOut = deps.clock.now();
    this.closed = new Promise((resolve) => {
      if (deps.stream.closed) resolve();
      else deps.stream.once('close', () => resolve());
    });
    this.handedOver = Promise.race([this.closed, new Promise<void>((resolve) => deps.stream.once('finish', () => resolve()))]);
    deps.stream.on('error', (error: NodeJS.ErrnoException) => (this.#fault ??= error.code ?? error.message));
    void this.closed.finally(() => {
      this.#cancelLinger();
      this.#releaseDrained();
    });
  }

  get lastOut(): Instant {
    return this.#lastOut;
  }

  /** Bytes written that the socket has not taken. */
  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  /** What broke the socket, if something did. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** rhea names its connections in debug output by this. */
  get_id_string(): string {
    return 'peer';
  }

  write(bytes: Buffer): void {
    if (this.#ending || !this.#stream.writable) return;
    this.#corkForThisTick();
    this.#lastOut = this.#clock.now();
    this.bytesOut += bytes.length;
    this.#pendingWrites += 1;
    this.#stream.write(bytes, (error) => {
      this.#pendingWrites -= 1;
      if (error !== null && error !== undefined) this.#failedWrites += 1;
      this.#onChange();
      if (this.#pendingWrites === 0) this.#releaseDrained();
    });
    this.#onChange();
    if (this.#stream.writableLength > this.#outboundBytes) this.#onOverflow();
  }

  end(): void {
    this.#onEnd();
  }

  /** Resolves when the kernel has everything that was written, or the socket is closed. */
  drained(): Promise<void> {
    if (this.#pendingWrites === 0 || this.#stream.closed) return Promise.resolve();
    return new Promise((resolve) => void this.#drained.add(resolve));
  }

  /** As `drained`; whether the kernel has everything that was written. */
  async taken(): Promise<boolean> {
    await this.drained();
    return this.#failedWrites === 0 && this.#pendingWrites === 0;
  }

  /** Sends what was written, then closes. The peer gets a moment to close its side: a reset could lose it our last words. */
  finish(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#stream.end();
    this.#stream.resume();
    finished(this.#stream, () => this.#stream.destroy());
    this.#cancelLinger = this.#clock.after(seconds(lingerSeconds), () => this.#stream.destroy());
  }

  destroy(): void {
    this.#ending = true;
    this.#stream.destroy();
  }

  #releaseDrained(): void {
    for (const resolve of this.#drained) resolve();
    this.#drained.clear();
  }

  /** rhea writes frame by frame; what it writes in one tick leaves in one record. */
  #corkForThisTick(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#stream.uncork();
    });
  }
}
