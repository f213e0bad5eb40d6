import { type Cancel, type Clock, type Instant, milliseconds, seconds } from '../../../kernel/clock.ts';
import { emptyFrame } from './frame-reader.ts';
import { watchQuiet } from './quiet-watch.ts';

/** Keeps a connection alive both ways (AMQP 1.0 part 2.4.5): empty frames out, and an end to a peer that says nothing. */
export function keepAlive({
  clock,
  peerIdleMilliseconds,
  idleSeconds,
  socket,
  lastIn,
  onSilence,
}: {
  readonly clock: Clock;
  /** `idle-time-out` of the peer's OPEN; `undefined` when it has none. */
  readonly peerIdleMilliseconds: number | undefined;
  /** Our own; silence of twice as long is the end. */
  readonly idleSeconds: number;
  readonly socket: { readonly lastOut: Instant; write(bytes: Buffer): void };
  readonly lastIn: () => Instant;
  readonly onSilence: () => void;
}): readonly Cancel[] {
  const incoming = watchQuiet(clock, seconds(idleSeconds * 2), { lastActivity: lastIn, onQuiet: onSilence });
  if (peerIdleMilliseconds === undefined) return [incoming];
  const often = milliseconds(Math.floor(peerIdleMilliseconds / 2));
  return [incoming, watchQuiet(clock, often, { lastActivity: () => socket.lastOut, onQuiet: () => socket.write(emptyFrame) })];
}
