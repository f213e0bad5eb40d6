import type { AmqpError } from './amqp-error.ts';
import type { AmqpLimits } from './limits.ts';
import type { Performative, RheaConnection, RheaFrame, RheaLink, Typed } from './rhea.ts';

/** The peer broke the protocol or asked for more than it may have: the connection ends with this error. */
export class PeerFault extends Error {
  override readonly name = 'PeerFault';
  readonly error: AmqpError;

  constructor(condition: string, description: string) {
    super(description);
    this.error = { condition, description };
  }
}

/** AMQP 1.0 part 2.4.1: nobody may ask for less. rhea would cut messages into pieces of no bytes, for ever. */
const smallestFrame = 512;
/** A peer that wants frames more often is refused (part 2.4.5 allows that); device SDKs ask for minutes. */
const shortestIdleMilliseconds = 1000;
/** rhea walks a disposition delivery by delivery; no peer has more than this unsettled. */
const longestDisposition = 4096;

const invalid = (what: string): PeerFault => new PeerFault('amqp:invalid-field', what);

export function checkOpen({ performative }: RheaFrame): void {
  const { max_frame_size: frame, idle_time_out: idle } = performative;
  if (isSet(frame) && !(isCount(frame) && frame >= smallestFrame)) throw invalid(`max-frame-size is at least ${smallestFrame}`);
  if (isSet(idle) && !(isCount(idle) && (idle === 0 || idle >= shortestIdleMilliseconds))) {
    throw invalid(`idle-time-out is at least ${shortestIdleMilliseconds} milliseconds`);
  }
}

/** Peers begin sessions, we never do; each on a channel of its own. */
export function checkBegin({ channel, performative }: RheaFrame, connection: RheaConnection, sessions: number): void {
  if (!connection.is_open()) throw notOpen();
  if (isSet(performative['remote_channel'])) throw invalid('remote-channel answers a session that was never begun');
  if (connection.remote_channel_map[channel] !== undefined) throw invalid(`channel ${channel} is in use`);
  // By the channels, not by the sessions that live: one that ends must not make room for endless others.
  if (channel >= sessions || Object.keys(connection.remote_channel_map).length >= sessions) {
    throw new PeerFault('amqp:resource-limit-exceeded', `A connection has at most ${sessions} sessions.`);
  }
}

export function checkAttach(
  { channel, performative }: RheaFrame,
  connection: RheaConnection,
  { linkCount, ...limits }: AmqpLimits & { readonly linkCount: number },
): void {
  const session = connection.remote_channel_map[channel];
  if (session === undefined) throw invalid(`channel ${channel} has no session`);
  const handle = performative['handle'] as number;
  if (linkCount >= limits.connectionLinks) {
    throw new PeerFault('amqp:resource-limit-exceeded', `A connection has at most ${limits.connectionLinks} links.`);
  }
  if (handle >= limits.links || Object.keys(session.links).length >= limits.links) {
    throw new PeerFault('amqp:resource-limit-exceeded', `A session has at most ${limits.links} links.`);
  }
  if (session.remote.handles[handle]?.state.remote_open === true)
    throw new PeerFault('amqp:session:handle-in-use', `handle ${handle} is in use`);
}

export function checkDisposition({ performative }: RheaFrame): void {
  const { last, state } = performative;
  const first = performative['first'] as number;
  if (isSet(state) && !isOutcome(state)) throw invalid('disposition has a state that is none');
  if (isSet(last) && !(isCount(last) && last - first <= longestDisposition)) throw invalid('disposition spans too much');
}

/** A delivery has its id from its first frame on (part 2.7.5); without one rhea fails when it writes the outcome. */
export function checkTransfer({ performative }: RheaFrame, link: RheaLink | undefined): void {
  if (link?._incomplete === undefined && !isSet(performative['delivery_id'])) throw invalid('transfer begins a delivery without an id');
}

/** rhea complains on the console about a terminus that it does not know; it has no use for any, links keep their own. */
export function hideTermini({ performative }: RheaFrame): void {
  performative['source'] = undefined;
  performative['target'] = undefined;
}

const empty = Buffer.alloc(0);

/** Forgets the frames that rhea keeps of a delivery that nobody is going to read. */
export function dropUnfinished(link: RheaLink | undefined): void {
  if (link?._incomplete !== undefined) link._incomplete.frames.length = 0;
}

/** A message on a link that was refused or forgotten; rhea complains on the console unless there is credit. */
export function ignoreTransfer(frame: RheaFrame, link: RheaLink | undefined): void {
  frame.payload = empty;
  dropUnfinished(link);
  frame.performative['message_format'] = undefined;
  if (link !== undefined) link.credit = 1;
}

/** A drain is for whoever sends; rhea writes to the console when one reaches a link that it reads from. */
export function tameFlow({ channel, performative }: RheaFrame, connection: RheaConnection): void {
  const { handle } = performative;
  const link = isCount(handle) ? connection.remote_channel_map[channel]?.remote.handles[handle] : undefined;
  if (link?.is_receiver() === true) performative['drain'] = false;
}

/** `idle-time-out` of the peer, `undefined` when it has none. */
export function idleOf(open: Performative): number | undefined {
  const idle = open['idle_time_out'];
  return isCount(idle) && idle > 0 ? idle : undefined;
}

function notOpen(): PeerFault {
  return new PeerFault('amqp:not-allowed', 'The connection is not open.');
}

/** received, accepted, rejected, released, modified: AMQP 1.0 part 3.4; in either spelling of the descriptor. */
const outcomes: ReadonlySet<unknown> = new Set([
  0x23,
  0x24,
  0x25,
  0x26,
  0x27,
  ...['received', 'accepted', 'rejected', 'released', 'modified'].map((name) => `amqp:${name}:list`),
]);

function isOutcome(state: unknown): boolean {
  return outcomes.has((state as Typed | undefined)?.descriptor?.value);
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null;
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0;
