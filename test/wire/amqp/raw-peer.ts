import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

/** A value with its wire type, as rhea's reader gives it. */
export interface Typed {
  readonly type: { readonly name: string; readonly typecode: number };
  readonly value: any;
  readonly descriptor?: Typed;
}

export interface RawFrame {
  readonly channel: number;
  /** `open`, `attach`, …; `empty` for a heartbeat. */
  readonly name: string;
  /** Fields by position, typed. */
  readonly fields: readonly (Typed | undefined)[];
  readonly payload: Buffer;
}

const require = createRequire(import.meta.url);
const types = require('rhea/lib/types.js');
const frames = require('rhea/lib/frames.js');
export const rheaMessage = require('rhea/lib/message.js');
export const rheaTypes = types;

const names: Readonly<Record<number, string>> = {
  0x10: 'open',
  0x11: 'begin',
  0x12: 'attach',
  0x13: 'flow',
  0x14: 'transfer',
  0x15: 'disposition',
  0x16: 'detach',
  0x17: 'end',
  0x18: 'close',
  0x40: 'sasl_mechanisms',
  0x42: 'sasl_challenge',
  0x44: 'sasl_outcome',
};

export const amqpHeader = Buffer.from('AMQP\0\x01\0\0', 'latin1');
export const saslHeader = Buffer.from('AMQP\x03\x01\0\0', 'latin1');

export const source = (address: string) => require('rhea/lib/terminus.js').source({ address }).described();
export const target = (address: string) => require('rhea/lib/terminus.js').target({ address }).described();

/** Bytes of one frame. */
export function frame(
  name: string,
  fields: Record<string, unknown>,
  { channel = 0, payload }: { channel?: number; payload?: Buffer } = {},
): Buffer {
  const performative = frames[name](fields);
  return frames.write_frame(name.startsWith('sasl') ? frames.sasl_frame(performative) : frames.amqp_frame(channel, performative, payload));
}

/** An AMQP peer made of bytes: sends what it is told, remembers what it gets. */
export class RawPeer {
  readonly stream: Duplex;
  readonly headers: Buffer[] = [];
  readonly frames: RawFrame[] = [];
  closed = false;
  #deliveries = 0;
  #buffer = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('error', () => {});
    stream.on('close', () => (this.closed = true));
  }

  write(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  send(name: string, fields: Record<string, unknown>, rest: { channel?: number; payload?: Buffer } = {}): void {
    this.write(frame(name, fields, rest));
  }

  /** One message in one frame; delivery ids count up. Returns the id. */
  transfer(handle: number, message: Record<string, unknown>, settled = false): number {
    const id = (this.#deliveries += 1) - 1;
    this.send(
      'transfer',
      { handle, delivery_id: id, delivery_tag: Buffer.alloc(16, id), message_format: 0, settled },
      { payload: rheaMessage.encode(message) },
    );
    return id;
  }

  named(name: string): readonly RawFrame[] {
    return this.frames.filter((candidate) => candidate.name === name);
  }

  /** Waits for the `count`th frame of this name. */
  async next(name: string, count = 1): Promise<RawFrame> {
    await until(() => this.named(name).length >= count, `frame ${count} of ${name}`);
    return this.named(name)[count - 1] as RawFrame;
  }

  /** Header, OPEN and BEGIN on channel 0. */
  async open(fields: Record<string, unknown> = {}): Promise<void> {
    this.write(amqpHeader);
    this.send('open', { container_id: 'raw', hostname: 'localhost', max_frame_size: 65536, idle_time_out: 120000, ...fields });
    this.send('begin', { next_outgoing_id: 1, incoming_window: 5000, outgoing_window: 5000 });
    await this.next('begin');
  }

  #read(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      if (this.#buffer.length >= 8 && this.#buffer.toString('latin1', 0, 4) === 'AMQP') {
        this.headers.push(this.#take(8));
        continue;
      }
      if (this.#buffer.length < 8 || this.#buffer.length < this.#buffer.readUInt32BE()) return;
      this.frames.push(parse(this.#take(this.#buffer.readUInt32BE())));
    }
  }

  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }
}

function parse(bytes: Buffer): RawFrame {
  const reader = new types.Reader(bytes);
  reader.skip(8);
  const channel = bytes.readUInt16BE(6);
  if (reader.remaining() === 0) return { channel, name: 'empty', fields: [], payload: Buffer.alloc(0) };
  const performative = reader.read();
  const payload = bytes.subarray(reader.position);
  return { channel, name: names[performative.descriptor.value] ?? 'unknown', fields: performative.value, payload };
}

/** The sections of a message by numeric descriptor, typed. */
export function sections(payload: Buffer): ReadonlyMap<number, Typed> {
  const reader = new types.Reader(payload);
  const found = new Map<number, Typed>();
  while (reader.remaining()) {
    const section = reader.read();
    found.set(section.descriptor.value, section);
  }
  return found;
}

/** The entries of a map section, typed. */
export function entries(section: Typed | undefined): ReadonlyMap<string, Typed> {
  const elements: readonly Typed[] = section?.value ?? [];
  return new Map(elements.flatMap((key, at) => (at % 2 === 0 ? [[key.value, elements[at + 1] as Typed] as const] : [])));
}

/** Condition and description of a described error. */
export function errorOf(typed: Typed | undefined): { readonly condition: string; readonly description: string } {
  return { condition: typed?.value[0].value, description: typed?.value[1].value };
}

/** Turns of the event loop until something is so; fails loudly instead of hanging. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  const patience = performance.now() + 5000;
  while (!isSo()) {
    if (performance.now() > patience) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
