import type { Duplex } from 'node:stream';
import { type Cancel, type Clock, seconds } from '../../../kernel/clock.ts';
import type { PeerConnection } from '../../connection.ts';
import type { HttpEngineLimits } from './route.ts';

/** Something that ends when its connection does: an exchange, or an upgraded protocol. */
export interface Occupant {
  /** The connection is gone. Called once at most. */
  onGone(): void;
  /** The door is closing; whatever is open-ended should come to its end. */
  onClosing(): void;
}

interface Held {
  readonly peer: PeerConnection;
  readonly occupants: Set<Occupant>;
  served: number;
  stopDeadline: Cancel;
}

/**
 * Every connection of the engine, with one deadline each. Node enforces its own header and request time-outs only on
 * servers that listen, and this one never does: a slow peer is bounded here, by the clock that was given.
 */
export class Connections {
  readonly #clock: Clock;
  readonly #limits: HttpEngineLimits;
  readonly #held = new Map<Duplex, Held>();
  #closed: (() => void) | undefined;
  #closing = false;

  constructor(deps: { readonly clock: Clock; readonly limits: HttpEngineLimits }) {
    this.#clock = deps.clock;
    this.#limits = deps.limits;
  }

  get count(): number {
    return this.#held.size;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Takes a connection in, unless the door is full or closing; then it is destroyed and `false` comes back. */
  add(peer: PeerConnection): boolean {
    if (this.#closing || this.#held.size >= this.#limits.connections) {
      peer.stream.destroy();
      return false;
    }
    const held: Held = { peer, occupants: new Set(), served: 0, stopDeadline: () => {} };
    this.#held.set(peer.stream, held);
    peer.stream.once('close', () => this.#remove(held));
    this.#expectHead(held, this.#limits.connectSeconds);
    return true;
  }

  peerOf(stream: Duplex): PeerConnection | undefined {
    return this.#held.get(stream)?.peer;
  }

  isBusy(stream: Duplex): boolean {
    return (this.#held.get(stream)?.occupants.size ?? 0) > 0;
  }

  /** A request's head is complete. Returns `false` when the peer has too many unanswered ones already. */
  enter(stream: Duplex, occupant: Occupant): boolean {
    const held = this.#held.get(stream);
    if (held === undefined || held.occupants.size >= this.#limits.pipelined) return false;
    held.occupants.add(occupant);
    this.#setDeadline(held, this.#limits.exchangeSeconds, () => held.peer.stream.destroy());
    return true;
  }

  /** Its answer has been handed to the socket. */
  leave(stream: Duplex, occupant: Occupant): void {
    const held = this.#held.get(stream);
    if (held === undefined || !held.occupants.delete(occupant)) return;
    held.served += 1;
    if (held.occupants.size > 0) return;
    if (this.#closing) hangUp(held.peer.stream);
    else this.#expectHead(held, this.#limits.keepAliveSeconds);
  }

  /** The exchange under way may take this long from now. */
  allow(stream: Duplex, exchangeSeconds: number): void {
    const held = this.#held.get(stream);
    if (held !== undefined) this.#setDeadline(held, exchangeSeconds, () => held.peer.stream.destroy());
  }

  /** From here on the occupant bounds its own time: an event stream or a WebSocket. */
  liftDeadline(stream: Duplex): void {
    const held = this.#held.get(stream);
    held?.stopDeadline();
  }

  /** Ends idle connections now, the others with their answer or after the grace; resolves when none is left. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#held.size === 0) return;
    const emptied = new Promise<void>((resolve) => (this.#closed = resolve));
    const stopGrace = this.#clock.after(seconds(this.#limits.closeGraceSeconds), () => {
      for (const stream of this.#held.keys()) stream.destroy();
    });
    for (const held of this.#held.values()) {
      if (held.occupants.size === 0) hangUp(held.peer.stream);
      for (const occupant of held.occupants) occupant.onClosing();
    }
    await emptied;
    stopGrace();
  }

  #expectHead(held: Held, limitSeconds: number): void {
    this.#setDeadline(held, limitSeconds, () => {
      // An idle kept-alive connection just ends; a peer that never finished a request is told why.
      if (held.served === 0 && held.peer.stream.writable) {
        held.peer.stream.write('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      }
      hangUp(held.peer.stream);
      held.stopDeadline = this.#clock.after(seconds(this.#limits.closeGraceSeconds), () => held.peer.stream.destroy());
    });
  }

  #setDeadline(held: Held, limitSeconds: number, expire: () => void): void {
    held.stopDeadline();
    held.stopDeadline = this.#clock.after(seconds(limitSeconds), expire);
  }

  #remove(held: Held): void {
    held.stopDeadline();
    this.#held.delete(held.peer.stream);
    for (const occupant of held.occupants) occupant.onGone();
    held.occupants.clear();
    if (this.#closing && this.#held.size === 0) this.#closed?.();
  }
}

/** Sends what is written, then ends both directions without waiting for the peer to end its own. */
function hangUp(stream: Duplex): void {
  stream.end(() => stream.destroy());
}
