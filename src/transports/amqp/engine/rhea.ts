import { createRequire } from 'node:module';

/**
 * The parts of rhea 3.0.5 that this engine uses, inner ones included, typed here once. rhea ships typings for its
 * public half only, and a server needs the other half: to decide on a link before it is attached, to see the fields
 * of a frame before they are acted upon.
 */
export interface Typed {
  readonly type: { readonly name: string; readonly typecode: number };
  readonly value: unknown;
  readonly descriptor?: { readonly value: unknown };
}

interface TypeDescription {
  readonly width: number;
}

interface Reader {
  readonly buffer: Buffer;
  position: number;
  depth?: number;
  remaining(): number;
  read(): Typed;
  read_value(type: TypeDescription): Typed;
  read_n(count: number): Typed[];
  read_array_items(count: number, type: TypeDescription): Typed[];
}

/** A performative with the fields of AMQP 1.0 part 2.7 as accessors. Nothing about their types has been checked. */
export type Performative = Record<string, unknown>;

export interface RheaFrame {
  readonly channel: number;
  readonly performative: Performative;
  payload?: Buffer | undefined;
}

export interface RheaDelivery {
  readonly id: number;
  readonly link: RheaLink;
  settled: boolean;
  remote_settled: boolean;
  /** What is sent, in frames; of no use once it was. */
  data: readonly Buffer[];
  update(settled: boolean, state?: unknown): void;
}

/** The fields of an error as an error composite stores them, so that the keys of `info` stay symbols. */
interface ErrorFields {
  readonly value: readonly Typed[];
}

export interface RheaLink {
  name: string;
  readonly session: RheaSession;
  readonly state: { readonly local_open: boolean; readonly remote_open: boolean };
  readonly local: { readonly handle: number; readonly attach: Performative };
  credit: number;
  delivery_count: number;
  /** The peer of a sender wants its credit used up. */
  readonly _draining?: boolean;
  /** Whether the next FLOW says that. */
  _get_drain(): boolean;
  issue_flow: boolean;
  /** Writes the ATTACH, FLOW and DETACH that are due. */
  _process(): void;
  _incomplete?: { readonly frames: (Buffer | undefined)[] };
  on(event: string, listener: (context: RheaContext) => void): unknown;
  close(error?: ErrorFields): void;
  add_credit(credit: number): void;
  send(payload: Buffer, tag: Buffer, format: number): RheaDelivery;
  is_receiver(): boolean;
}

/** What was sent and is not settled on both sides, in order: it is emptied from the front only. */
interface RheaDeliveries {
  readonly capacity: number;
  get_head(): RheaDelivery | undefined;
  by_id(id: number): RheaDelivery | undefined;
}

export interface RheaSession {
  links: Record<string, RheaLink>;
  readonly local: { readonly begin: Performative };
  readonly remote: { readonly handles: Record<number, RheaLink> };
  readonly outgoing: {
    readonly deliveries: RheaDeliveries;
    readonly next_delivery_id: number;
    /** Id of the first delivery that is not sent, or not to its end. */
    next_pending_delivery: number;
    available(): number;
    /** Frames that the peer takes. */
    transfer_window(): number;
    /** Writes what is due: transfers and dispositions. */
    process(): void;
  };
  /** Writes the state of the session, or of one of its links as well. */
  _write_flow(link?: RheaLink): void;
  /** Writes END; a session that has ended already stays so. */
  end(): void;
}

export interface RheaContext {
  readonly message?: unknown;
  readonly delivery?: RheaDelivery;
  readonly session?: RheaSession;
  readonly error?: unknown;
}

export const performativeNames = ['open', 'begin', 'attach', 'flow', 'transfer', 'disposition', 'detach', 'end', 'close'] as const;
export type PerformativeName = (typeof performativeNames)[number];

export type RheaConnection = {
  readonly remote_channel_map: Record<number, RheaSession>;
  readonly local: { readonly open: Performative };
  readonly state: { readonly local_open: boolean };
  /** `selected` once the peer's first header said that it wants SASL (or not). */
  readonly sasl_transport?: { readonly selected?: { readonly transport?: { readonly read_complete: boolean } } };
  accept(socket: unknown): void;
  close(error?: ErrorFields): void;
  is_open(): boolean;
  on(event: string, listener: (context: RheaContext) => void): unknown;
  /** Queues `_process` for the next tick. */
  _register(): void;
  /** Writes everything that is due, at once. */
  _process(): void;
} & Record<`on_${PerformativeName}`, (frame: RheaFrame) => void>;

export interface RheaContainer {
  sasl_server_mechanisms: Record<string, () => SaslMechanism>;
  on(event: string, listener: (context: RheaContext) => void): unknown;
  create_connection(options: Record<string, unknown>): RheaConnection;
}

/**
 * What rhea asks of a server's SASL mechanism: an `outcome` that is set when `start` or `step` has ended; until then what they
 * return is the next challenge.
 */
export interface SaslMechanism {
  outcome: boolean | undefined;
  username?: string;
  start(initialResponse: Buffer | null | undefined): Promise<Buffer | undefined> | void;
  /** Absent where the peer has nothing to answer: rhea ends the connection of one that does. */
  step?(response: unknown): Promise<Buffer | undefined>;
}

interface RheaTypes {
  readonly by_code: Readonly<Record<number, { read: (buffer: Buffer, at: number) => unknown }>>;
  readonly Reader: { new (buffer: Buffer): Reader; readonly prototype: Reader };
  wrap_int(value: number): Typed;
  wrap_long(value: number): Typed;
  wrap_ulong(value: number): Typed;
  wrap_ubyte(value: number): Typed;
  wrap_timestamp(epochMilliseconds: number): Typed;
  wrap_uuid(bytes: Buffer): Typed;
  wrap_string(value: string): Typed;
  wrap_symbol(value: string): Typed;
  wrap_symbolic_map(value: Readonly<Record<string, unknown>>): Typed;
}

interface Rhea {
  readonly types: RheaTypes;
  readonly message: {
    encode(message: Readonly<Record<string, unknown>>): Buffer;
    data_section(body: Buffer): unknown;
    accepted(fields?: object): { described(): unknown };
    is_accepted(outcome: unknown): boolean;
    released(fields?: object): { described(): unknown };
    rejected(fields: { readonly error?: ErrorFields }): { described(): unknown };
  };
  create_container(options: { readonly id: string }): RheaContainer;
}

/** Deeper than any message a device sends; rhea recurses, and a stack that overflows is nothing to rely on. */
const maxDepth = 32;
/** Elements that take no bytes (null, true, 0) cost the sender nothing and us an object each. */
const maxEmptyElements = 16;

/**
 * rhea believes the element counts that a peer writes: an array of four billion nulls is ten bytes long and would
 * take all memory. Here a count is held against the bytes that are left, before anything is allocated.
 */
function hardened(rhea: Rhea): Rhea {
  // A boolean in its one-byte form is one for rhea's writer, and a number for its reader.
  const boolean = rhea.types.by_code[0x56];
  if (boolean !== undefined) boolean.read = (buffer, at) => buffer.readUInt8(at) !== 0;
  const reader = rhea.types.Reader.prototype;
  const original = { ...reader };

  reader.read = function readBounded(this: Reader): Typed {
    this.depth = (this.depth ?? 0) + 1;
    if (this.depth > maxDepth) throw new RangeError('AMQP value is nested too deeply');
    const value = original.read.call(this);
    this.depth -= 1;
    return value;
  };
  reader.read_value = function readInside(this: Reader, type: TypeDescription): Typed {
    const value = original.read_value.call(this, type);
    if (this.position > this.buffer.length) throw new RangeError('AMQP value reaches past its end');
    return value;
  };
  reader.read_n = function readCounted(this: Reader, count: number): Typed[] {
    if (count > this.remaining()) throw new RangeError('AMQP list or map declares more elements than it has bytes');
    return original.read_n.call(this, count);
  };
  reader.read_array_items = function readCountedItems(this: Reader, count: number, type: TypeDescription): Typed[] {
    const most = type.width === 0 ? maxEmptyElements : this.remaining() / type.width;
    if (count > most) throw new RangeError('AMQP array declares more elements than it has bytes');
    return original.read_array_items.call(this, count, type);
  };
  return rhea;
}

/** rhea takes a disposition for a delivery that is long gone for one of the current ones, since it counts around in a circle. */
export function hardenOutgoing({ outgoing }: RheaSession): void {
  const { deliveries } = outgoing;
  const find = deliveries.by_id.bind(deliveries);
  deliveries.by_id = (id) => {
    const found = find(id);
    return found?.id === id ? found : undefined;
  };
}

export const rhea: Rhea = hardened(createRequire(import.meta.url)('rhea') as Rhea);
