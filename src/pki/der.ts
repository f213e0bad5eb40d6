import { CertificateFormatError } from './certificate-format-error.ts';

/** First bytes of the elements that certificates are made of (X.690 8.1.2). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of `[n]` around a primitive value, as IMPLICIT tagging of a string gives. */
export const contextPrimitive = (n: number): number => 0x80 | n;
/** Tag of `[n]` around a constructed value, as EXPLICIT tagging gives. */
export const contextConstructed = (n: number): number => 0xa0 | n;

const constructedBit = 0x20;
const classBits = 0xc0;
const multiByteTagNumber = 0x1f;
// The deepest path in a TBSCertificate (extensions, names) is 7; skipped parts are foreign and get some room.
const maxDepth = 16;
// 5 bytes of length would describe more than 4 GiB.
const maxLengthBytes = 4;

/**
 * Forward-only reader of the DER elements in one slice of a buffer. It refuses what DER forbids (indefinite and
 * non-minimal lengths, lengths past the end, BER encodings of primitive values), so that one certificate has one
 * encoding. Every method throws `CertificateFormatError` for such input.
 */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#offset >= this.#end;
  }

  /** Whether the next element has this tag; false at the end. */
  at(tag: number): boolean {
    return !this.done && this.#bytes[this.#offset] === tag;
  }

  /** Steps into a constructed element; the returned reader covers its content. */
  enter(tag: number, what: string): DerReader {
    const start = this.#header(tag, what);
    return new DerReader(this.#bytes, start, this.#offset);
  }

  /** Content of a primitive element (a view, not a copy); `type` is its real type where `tag` is IMPLICIT. */
  content(tag: number, what: string, type = tag): Buffer {
    const start = this.#header(tag, what);
    const content = this.#bytes.subarray(start, this.#offset);
    checkPrimitive(type, content, what);
    return content;
  }

  /** The next element, header included, whatever is in it, as long as that is well-formed. */
  element(what: string): { readonly tag: number; readonly der: Buffer } {
    const start = this.#offset;
    const tag = this.#bytes[start] ?? 0;
    this.skip(what);
    return { tag, der: this.#bytes.subarray(start, this.#offset) };
  }

  /** Passes over the next element, but not over an error inside it. */
  skip(what: string, depth = 0): void {
    if (depth > maxDepth) throw damaged(what, 'is nested too deeply');
    const tag = this.done ? -1 : (this.#bytes[this.#offset] ?? -1);
    const start = this.#header(tag, what);
    if ((tag & constructedBit) === 0) return checkPrimitive(tag, this.#bytes.subarray(start, this.#offset), what);
    const inner = new DerReader(this.#bytes, start, this.#offset);
    while (!inner.done) inner.skip(what, depth + 1);
  }

  /** Refuses anything that follows what was read. */
  finish(what: string): void {
    if (!this.done) throw damaged(what, 'is followed by bytes that do not belong to it');
  }

  /** Reads tag and length, moves to the end of the element, returns where its content starts. */
  #header(expected: number, what: string): number {
    const tag = this.#bytes[this.#offset];
    if (this.done || tag === undefined) throw damaged(what, 'is missing');
    if (tag !== expected) throw damaged(what, `is not of the expected type (tag ${hexByte(tag)})`);
    checkTag(tag, what);
    const start = this.#offset + 2 + this.#lengthBytes(what);
    const end = start + this.#length(what);
    if (end > this.#end) throw damaged(what, 'is cut off');
    this.#offset = end;
    return start;
  }

  /** How many bytes follow the first length byte. */
  #lengthBytes(what: string): number {
    const first = this.#bytes[this.#offset + 1];
    if (first === undefined || this.#offset + 2 > this.#end) throw damaged(what, 'is cut off');
    if (first < 0x80) return 0;
    const count = first & 0x7f;
    if (count === 0) throw damaged(what, 'has an indefinite length, which DER forbids');
    if (count > maxLengthBytes) throw damaged(what, 'claims an impossible length');
    if (this.#offset + 2 + count > this.#end) throw damaged(what, 'is cut off');
    return count;
  }

  #length(what: string): number {
    const first = this.#bytes[this.#offset + 1] ?? 0;
    if (first < 0x80) return first;
    const count = first & 0x7f;
    const length = this.#bytes.readUIntBE(this.#offset + 2, count);
    const shortest = length < 0x80 ? 0 : Math.ceil((32 - Math.clz32(length)) / 8);
    if (count !== shortest) throw damaged(what, 'has a length that is not in its shortest form, which DER forbids');
    return length;
  }
}

/** Reads an OBJECT IDENTIFIER as dotted text. */
export function readOid(reader: DerReader, what: string): string {
  return oidText(reader.content(tags.oid, what));
}

/** Reads a BOOLEAN with a default of FALSE, also when the default is spelled out (common, though not DER). */
export function readFlag(reader: DerReader, what: string): boolean {
  return reader.at(tags.boolean) && reader.content(tags.boolean, what)[0] === 0xff;
}

/** Reads a BIT STRING that consists of whole bytes. */
export function readWholeBits(reader: DerReader, what: string): Buffer {
  const content = reader.content(tags.bitString, what);
  if (content[0] !== 0) throw damaged(what, 'does not end at a byte boundary');
  return content.subarray(1);
}

/** Reads an INTEGER from 0 to 2^48 - 1 from its content. */
export function smallInteger(content: Buffer, what: string): number {
  if (content.length === 0 || content.length > 6 || (content[0] ?? 0) >= 0x80) throw damaged(what, 'is out of range');
  return content.readUIntBE(0, content.length);
}

/** A `CertificateFormatError` about one named part. */
export function damaged(what: string, fault: string): CertificateFormatError {
  return new CertificateFormatError(`This is not a valid certificate: ${what} ${fault}.`);
}

function oidText(content: Buffer): string {
  let text = '';
  let arc: number | bigint = 0;
  for (const byte of content) {
    arc = nextArc(arc, byte & 0x7f);
    if (byte >= 0x80) continue;
    text += text === '' ? firstArcs(arc) : `.${arc}`;
    arc = 0;
  }
  return text;
}

// Arcs under 2.25 are UUIDs, which a double cannot hold.
function nextArc(arc: number | bigint, bits: number): number | bigint {
  if (typeof arc === 'number' && arc < 2 ** 45) return arc * 128 + bits;
  return BigInt(arc) * 128n + BigInt(bits);
}

/** The first two arcs share a number (X.690 8.19.4). */
function firstArcs(arc: number | bigint): string {
  if (arc < 40) return `0.${arc}`;
  if (arc < 80) return `1.${Number(arc) - 40}`;
  return `2.${typeof arc === 'bigint' ? arc - 80n : arc - 80}`;
}

function checkTag(tag: number, what: string): void {
  if ((tag & 0x1f) === multiByteTagNumber) throw damaged(what, 'has a tag that certificates do not use');
  if ((tag & classBits) !== 0) return;
  const mustBeConstructed = tag === tags.sequence || tag === tags.set;
  const isConstructed = (tag & constructedBit) !== 0;
  if (tag === 0 || isConstructed !== mustBeConstructed || tag === 0x10 || tag === 0x11)
    throw damaged(what, 'is encoded in a form that DER forbids');
}

/** What X.690 asks of primitive contents; types that are absent may hold anything. */
const primitiveRules: Readonly<Record<number, (content: Buffer) => boolean>> = {
  [tags.boolean]: (content) => content.length === 1 && (content[0] === 0 || content[0] === 0xff),
  [tags.integer]: isShortestInteger,
  [tags.enumerated]: isShortestInteger,
  [tags.bitString]: isBitString,
  [tags.null]: (content) => content.length === 0,
  [tags.oid]: isOid,
};

function checkPrimitive(tag: number, content: Buffer, what: string): void {
  const rule = primitiveRules[tag];
  if (rule !== undefined && !rule(content)) throw damaged(what, 'is encoded in a form that DER forbids');
}

function isShortestInteger(content: Buffer): boolean {
  const [first, second] = content;
  if (first === undefined) return false;
  if (second === undefined) return true;
  return !(first === 0 && second < 0x80) && !(first === 0xff && second >= 0x80);
}

function isBitString(content: Buffer): boolean {
  const unused = content[0];
  if (unused === undefined || unused > 7) return false;
  if (content.length === 1) return unused === 0;
  const last = content[content.length - 1] ?? 0;
  return (last & ((1 << unused) - 1)) === 0;
}

function isOid(content: Buffer): boolean {
  if (content.length === 0 || content.length > 128) return false;
  let isFirst = true;
  for (const byte of content) {
    // An arc does not begin with a byte that only says "more follows".
    if (isFirst && byte === 0x80) return false;
    isFirst = byte < 0x80;
  }
  return isFirst;
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
