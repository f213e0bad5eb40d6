import { PeerFault } from './frame-guards.ts';
import type { PerformativeName, RheaFrame, Typed } from './rhea.ts';

/** What a field may hold. `any` is checked where it is used, if it is used at all. */
type FieldKind = 'count' | 'flag' | 'text' | 'binary' | 'any';

/** A field by its place in the list; `!` says that it has to be there. */
type Field = readonly [name: string, kind: FieldKind | `${FieldKind}!`];

const error: Field = ['error', 'any'];

/** The fields of AMQP 1.0 part 2.7, as far as rhea looks at them. */
const fields: Readonly<Record<PerformativeName, readonly Field[]>> = {
  open: [
    ['container-id', 'text!'],
    ['hostname', 'text'],
    ['max-frame-size', 'count'],
    ['channel-max', 'count'],
    ['idle-time-out', 'count'],
  ],
  begin: [
    ['remote-channel', 'count'],
    ['next-outgoing-id', 'count!'],
    ['incoming-window', 'count!'],
    ['outgoing-window', 'count!'],
    ['handle-max', 'count'],
  ],
  attach: [
    ['name', 'text!'],
    ['handle', 'count!'],
    ['role', 'flag!'],
    ['snd-settle-mode', 'count'],
    ['rcv-settle-mode', 'count'],
    ['source', 'any'],
    ['target', 'any'],
    ['unsettled', 'any'],
    ['incomplete-unsettled', 'flag'],
    ['initial-delivery-count', 'count'],
  ],
  flow: [
    ['next-incoming-id', 'count'],
    ['incoming-window', 'count!'],
    ['next-outgoing-id', 'count!'],
    ['outgoing-window', 'count!'],
    ['handle', 'count'],
    ['delivery-count', 'count'],
    ['link-credit', 'count'],
    ['available', 'count'],
    ['drain', 'flag'],
    ['echo', 'flag'],
  ],
  transfer: [
    ['handle', 'count!'],
    ['delivery-id', 'count'],
    ['delivery-tag', 'binary'],
    ['message-format', 'count'],
    ['settled', 'flag'],
    ['more', 'flag'],
    ['rcv-settle-mode', 'count'],
    ['state', 'any'],
    ['resume', 'flag'],
    ['aborted', 'flag'],
    ['batchable', 'flag'],
  ],
  disposition: [
    ['role', 'flag!'],
    ['first', 'count!'],
    ['last', 'count'],
    ['settled', 'flag'],
    ['state', 'any'],
    ['batchable', 'flag'],
  ],
  detach: [['handle', 'count!'], ['closed', 'flag'], error],
  end: [error],
  close: [error],
};

const largestUint = 0xff_ff_ff_ff;

const holds: Readonly<Record<Exclude<FieldKind, 'any'>, (value: unknown) => boolean>> = {
  count: (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= largestUint,
  flag: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
  binary: (value) => Buffer.isBuffer(value),
};

/**
 * rhea hands fields on as they came: it looks handles up by whatever name a peer gives them, counts with text, and
 * throws on a later tick, when nobody listens, over an id that it cannot write back. Throws `PeerFault`.
 */
export function checkFields(name: PerformativeName, { performative }: RheaFrame): void {
  const values: unknown = performative['value'];
  if (!Array.isArray(values)) throw new PeerFault('amqp:decode-error', `${name} holds a list of fields`);
  for (const [at, [field, kind]] of fields[name].entries()) checkField(`${name}.${field}`, kind, values[at] as Typed | null | undefined);
}

function checkField(name: string, kind: Field[1], typed: Typed | null | undefined): void {
  const value = typed?.value;
  if (value === undefined || value === null) {
    if (kind.endsWith('!')) throw new PeerFault('amqp:invalid-field', `${name} is missing`);
    return;
  }
  const bare = kind.replace('!', '') as FieldKind;
  if (bare === 'any') return;
  if (typed?.descriptor !== undefined || !holds[bare](value)) throw new PeerFault('amqp:invalid-field', `${name} has the wrong type`);
}
