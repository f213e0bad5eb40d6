import { ProtocolViolation } from './close-reason.ts';

/** One whole control packet: its first byte, and where its variable header begins in `bytes`. */
export interface Frame {
  readonly bytes: Buffer;
  readonly bodyStart: number;
}

interface Header {
  readonly bodyStart: number;
  readonly remainingLength: number;
}

const longestHeader = 5;
const nothing = Buffer.alloc(0);

/**
 * Cuts the byte stream into control packets. Never holds more than one packet of the permitted length and one
 * chunk of the socket: the declared length is judged before the packet is waited for (the codec, mqtt-packet,
 * would buffer whatever a peer declares, up to 256 MiB).
 */
export class FrameReader {
  #buffer: Buffer = nothing;
  #start = 0;
  #end = 0;
  /** Whether the buffer is ours to append to. */
  #owned = false;

  /** Bytes held. */
  get bytes(): number {
    return this.#end - this.#start;
  }

  push(chunk: Buffer): void {
    const kept = this.#end - this.#start;
    if (kept === 0) {
      this.#buffer = chunk;
      this.#owned = false;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    this.#makeRoom(kept, chunk.length);
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  /** First byte of the next packet, if it has arrived. */
  peek(): number | undefined {
    return this.#start < this.#end ? this.#buffer[this.#start] : undefined;
  }

  /** The next packet, if all of it has arrived. Throws `ProtocolViolation` if it declares more than `limit` bytes. */
  take(limit: number): Frame | undefined {
    const header = this.#header();
    if (header === undefined) return undefined;
    if (header.remainingLength > limit) {
      throw new ProtocolViolation('oversized', `packet declares ${header.remainingLength} bytes, ${limit} are permitted`);
    }
    const end = this.#start + header.bodyStart + header.remainingLength;
    if (end > this.#end) return undefined;
    const bytes = this.#buffer.subarray(this.#start, end);
    this.#start = end;
    if (end === this.#end) this.#release();
    return { bytes, bodyStart: header.bodyStart };
  }

  /** An idle connection keeps no buffer. */
  #release(): void {
    this.#buffer = nothing;
    this.#start = 0;
    this.#end = 0;
  }

  /** Remaining length: 7 bits a byte, least significant first, four bytes at most (chapter 2.2.3). */
  #header(): Header | undefined {
    let remainingLength = 0;
    for (let offset = 1; offset < longestHeader; offset += 1) {
      const at = this.#start + offset;
      if (at >= this.#end) return undefined;
      const byte = this.#buffer[at] ?? 0;
      remainingLength += (byte & 0x7f) * 128 ** (offset - 1);
      if (byte < 0x80) return { bodyStart: offset + 1, remainingLength };
    }
    throw new ProtocolViolation('malformed', 'remaining length of more than four bytes');
  }

  /**
   * Room grows by doubling, so that a packet that trickles in costs linear work. Bytes are only ever appended:
   * packets handed out before share the memory in front of them.
   */
  #makeRoom(kept: number, more: number): void {
    if (this.#owned && this.#end + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(kept + more, 2 * kept));
    this.#buffer.copy(grown, 0, this.#start, this.#end);
    this.#buffer = grown;
    this.#owned = true;
    this.#start = 0;
    this.#end = kept;
  }
}
