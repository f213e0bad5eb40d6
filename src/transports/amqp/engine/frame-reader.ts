/** A protocol header (8 bytes) or a whole frame, as it came. */
export interface Unit {
  readonly kind: 'header' | 'frame';
  readonly bytes: Buffer;
}

/** The peer broke the framing of AMQP 1.0 part 2.3, or declared a frame larger than it may be. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

/** A heartbeat (AMQP 1.0 part 2.4.5). */
export const emptyFrame = Buffer.from([0, 0, 0, 8, 2, 0, 0, 0]);
/** AMQP 1.0 part 2.2: whoever speaks something else is told what is spoken here. */
export const ownHeader = Buffer.from('AMQP\0\x01\0\0', 'latin1');

const headerBytes = 8;
const mostChunks = 64;
/** `AMQP`: no frame may be as long as this number says, so at a frame boundary it can only be a header. */
const headerMark = 0x414d5150;
const protocolIds = { amqp: 0, sasl: 3 } as const;

/**
 * Cuts a stream of bytes into headers and frames. Refuses a frame on the length it *declares*, so that a peer never
 * decides how much is buffered: at most one frame of `limit()` bytes and one chunk are held.
 */
export class FrameReader {
  readonly #limit: () => number;
  #chunks: Buffer[] = [];
  #length = 0;
  #layer: 'none' | 'sasl' | 'amqp' = 'none';

  /** `limit` is asked for each frame: it grows once the connection is open. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    // A byte in a chunk of its own costs a hundred.
    if (this.#chunks.length > mostChunks && chunk.length < 1024) this.#chunks = [Buffer.concat(this.#chunks)];
    this.#length += chunk.length;
  }

  /** Whether what comes next opens the AMQP layer after SASL; true only with the whole header there. */
  get isAtSecondHeader(): boolean {
    return this.#layer === 'sasl' && this.#length >= headerBytes && this.#peek(4).readUInt32BE() === headerMark;
  }

  /** The next header or frame, or `undefined` until more bytes come. Throws `FramingError`. */
  next(): Unit | undefined {
    if (this.#layer === 'none') return this.#nextHeader();
    if (this.#length < 4) return undefined;
    const declared = this.#peek(4).readUInt32BE();
    if (this.#layer === 'sasl' && declared === headerMark) return this.#nextHeader();
    if (declared < headerBytes) throw new FramingError(`a frame of ${declared} bytes is shorter than its own header`);
    if (declared > this.#limit()) throw new FramingError(`a frame of ${declared} bytes was declared where ${this.#limit()} are allowed`);
    return this.#length < declared ? undefined : { kind: 'frame', bytes: this.#take(declared) };
  }

  #nextHeader(): Unit | undefined {
    const seen = this.#peek(Math.min(4, this.#length)).toString('latin1');
    if (!'AMQP'.startsWith(seen)) throw new FramingError('this is not AMQP');
    if (this.#length < headerBytes) return undefined;
    const bytes = this.#take(headerBytes);
    const id = bytes[4];
    const allowed = this.#layer === 'none' ? id === protocolIds.amqp || id === protocolIds.sasl : id === protocolIds.amqp;
    if (!allowed || bytes[5] !== 1 || bytes[6] !== 0) throw new FramingError(`protocol ${bytes.subarray(4).join('.')} is not spoken here`);
    this.#layer = id === protocolIds.sasl ? 'sasl' : 'amqp';
    return { kind: 'header', bytes };
  }

  /** The first bytes without consuming them. */
  #peek(count: number): Buffer {
    const [first] = this.#chunks;
    if (first === undefined) return Buffer.alloc(0);
    if (first.length < count) this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] ?? first).subarray(0, count);
  }

  #take(count: number): Buffer {
    const [first] = this.#chunks;
    const all = first !== undefined && first.length >= count ? first : Buffer.concat(this.#chunks);
    const rest = all === first ? this.#chunks.slice(1) : [];
    const left = all.subarray(count);
    this.#chunks = left.length === 0 ? rest : [left, ...rest];
    this.#length -= count;
    return all.subarray(0, count);
  }
}
