import { TpmFormatError } from './tpm-format-error.ts';

/** Walks over TPM structures, big-endian as part 1 section 10 has them; throws `TpmFormatError` at the end of the bytes. */
export class StructureReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint16(): number {
    return this.take(2).readUInt16BE(0);
  }

  uint32(): number {
    return this.take(4).readUInt32BE(0);
  }

  /** A TPM2B: a size of two bytes, and so many bytes. */
  sized(): Buffer {
    return this.take(this.uint16());
  }

  /** All bytes have been read. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new TpmFormatError('there is something behind it');
  }

  private take(length: number): Buffer {
    if (this.#bytes.length - this.#at < length) throw new TpmFormatError('it ends too early');
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A TPM2B of these bytes. */
export function sized(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint16(content.length), content]);
}
