import { finished, type Duplex } from 'node:stream';
import { seconds, type Cancel, type Clock } from '../../../kernel/clock.ts';

/** How long a peer may take to read our last words and close its side. */
const lingerSeconds = 5;

/** The byte side of one connection: counts, bounded farewell, and a promise for the end. */
export class PeerStream {
  readonly #stream: Duplex;
  readonly #clock: Clock;
  readonly closed: Promise<void>;
  #cancelLinger: Cancel | undefined;
  readonly #onWritten: () => void;
  #ending = false;
  #fault: string | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

  /** `onWritten` is called whenever the socket has taken something. */
  constructor(stream: Duplex, clock: Clock, onWritten: () => void) {
    this.#stream = stream;
    this.#onWritten = onWritten;
    this.#clock = clock;
    this.closed = new Promise((resolve) => {
      if (stream.closed) resolve();
      else stream.once('close', () => resolve());
    });
    // The reading loop learns of faults by itself; without this listener a late one would end the process.
    stream.on('error', (error: NodeJS.ErrnoException) => (this.#fault ??= error.code ?? error.message));
    void this.closed.then(() => this.#cancelLinger?.());
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** What broke the socket, if something did. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** False once destroyed, even if the end is not announced yet. */
  get isAlive(): boolean {
    return !this.#stream.destroyed;
  }

  /** Bytes accepted by `write` that the socket has not taken. */
  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  /** What the peer sends, read only when asked for; ends when the stream does, whatever the cause. */
  async *chunks(): AsyncGenerator<Buffer, void, void> {
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
        this.#bytesIn += chunk.length;
        // After our last words we read on without looking: closing with unread bytes would make the kernel send a
        // reset, and the peer might lose them.
        if (!this.#ending) yield chunk;
      }
    } catch (thrown) {
      this.#fault ??= thrown instanceof Error ? ((thrown as NodeJS.ErrnoException).code ?? thrown.message) : String(thrown);
    }
  }

  /** `onTaken` is called when the socket has taken them, and never if it does not. */
  write(bytes: Buffer, onTaken?: () => void): void {
    if (this.#ending || !this.#stream.writable) return;
    this.#bytesOut += bytes.length;
    this.#stream.write(bytes, (error) => {
      this.#onWritten();
      if (error === null || error === undefined) onTaken?.();
    });
  }

  /** Everything that `work` writes goes to the socket at once. */
  together(work: () => void): void {
    this.#stream.cork();
    work();
    this.#stream.uncork();
  }

  /** Sends what was written, then closes; does not wait long for the peer. */
  end(): void {
    if (this.#ending || !this.isAlive) return;
    this.#ending = true;
    this.#stream.end();
    this.#cancelLinger = this.#clock.after(seconds(lingerSeconds), () => this.#stream.destroy());
    finished(this.#stream, () => this.#stream.destroy());
  }

  destroy(): void {
    this.#stream.destroy();
  }
}
