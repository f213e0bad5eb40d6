import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seconds } from '../../../src/kernel/clock.ts';
import { errorOf, RawPeer, rheaMessage, rheaTypes, source, target, until } from './raw-peer.ts';
import { openService, type TestService } from './service.ts';

let service: TestService;
beforeEach(async () => void (service = await openService()));
afterEach(async () => await service.close());

const codes = { begin: 0x11, attach: 0x12, flow: 0x13, transfer: 0x14, disposition: 0x15, detach: 0x16, end: 0x17, close: 0x18 } as const;
type Name = keyof typeof codes;

/** One frame with its fields as they are given, whatever their types. */
function rawFrame(
  name: Name,
  fields: readonly unknown[],
  { channel = 0, payload = Buffer.alloc(0) }: { readonly channel?: number; readonly payload?: Buffer } = {},
): Buffer {
  const writer = new rheaTypes.Writer();
  writer.write(rheaTypes.described(rheaTypes.wrap_ulong(codes[name]), rheaTypes.List32(fields)));
  const bytes = Buffer.concat([Buffer.alloc(8), writer.toBuffer(), payload]);
  bytes.writeUInt32BE(bytes.length);
  bytes.writeUInt8(2, 4);
  bytes.writeUInt16BE(channel, 6);
  return bytes;
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

const addressOf = (id: string): string => `${service.idScope}/registrations/${id}`;
const senderOf = (address: string, handle: number) => ({
  name: `s-${handle}`,
  handle,
  role: false,
  initial_delivery_count: 0,
  source: source('me'),
  target: target(address),
});

/** A stranger with both links of the provisioning service: whoever reaches the port gets as far. */
async function stranger(): Promise<RawPeer> {
  const peer = new RawPeer(service.dial());
  await peer.open();
  const address = addressOf('d');
  peer.send('attach', { name: 'r', handle: 1, role: true, source: source(address), target: target('me') });
  peer.send('attach', senderOf(address, 0));
  await peer.next('attach', 2);
  return peer;
}

const { wrap_uint: uint, wrap_string: text, wrap_boolean: flag, wrap_binary: binary } = rheaTypes;
const message = rheaMessage.encode({ body: 'x' });

test.each([
  ['a transfer without a delivery id', 'transfer', [uint(0)]],
  ['a transfer whose delivery id is text', 'transfer', [uint(0), text('x')]],
  ['a transfer whose delivery id is no uint', 'transfer', [uint(0), rheaTypes.wrap_ulong(2 ** 40)]],
  ['a transfer on the handle __proto__', 'transfer', [text('__proto__'), uint(0)]],
  ['a transfer on the handle constructor', 'transfer', [text('constructor'), uint(0)]],
  ['a transfer that is settled by text', 'transfer', [uint(0), uint(0), binary(Buffer.alloc(1)), uint(0), text('yes')]],
  ['a flow with a window of text', 'flow', [uint(0), text('many'), uint(0), uint(1)]],
  ['a flow without windows', 'flow', [uint(0)]],
  ['a flow with a described handle', 'flow', [uint(0), uint(1), uint(0), uint(1), rheaTypes.described(uint(0), uint(0))]],
  ['a begin whose next id is text', 'begin', [rheaTypes.Null(), text('x'), uint(1), uint(1)]],
  ['an attach with a fraction for a count', 'attach', [text('n'), uint(3), flag(false), ...nulls(6), rheaTypes.wrap_double(0.5)]],
  ['a detach of __proto__', 'detach', [text('__proto__')]],
] as const)('refused/%s ends its own connection and nothing else', async (_, name, fields) => {
  const peer = await stranger();
  peer.write(rawFrame(name, fields, { channel: name === 'begin' ? 1 : 0, payload: name === 'transfer' ? message : Buffer.alloc(0) }));
  await peer.next('close');
  await turns(5);
  service.clock.advance(seconds(1));
  await until(() => service.log.named('amqp.connection').length === 1, 'the end');
  expect(({} as { credit?: number }).credit).toBeUndefined();
  expect(String(service.log.named('amqp.connection')[0]?.['reason'])).toContain('amqp:invalid-field');
  const other = await stranger();
  expect(other.named('attach')).toHaveLength(2);
});

function nulls(count: number): readonly unknown[] {
  return Array.from({ length: count }, () => rheaTypes.Null());
}

/** Any AMQP value that rhea can write. */
const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('scalar'), tie('list'), tie('map'), tie('array'), tie('described')),
  scalar: fc.oneof(
    fc.constant(rheaTypes.Null()),
    fc.boolean().map((value) => rheaTypes.Boolean(value ? 1 : 0)),
    fc.nat().map(uint),
    fc.integer().map(rheaTypes.wrap_int),
    fc.maxSafeNat().map(rheaTypes.wrap_ulong),
    fc.double().map(rheaTypes.wrap_double),
    fc.constantFrom('__proto__', 'constructor', 'toString', '', 'x'.repeat(300)).map(text),
    fc.string({ maxLength: 8 }).map(rheaTypes.wrap_symbol),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => binary(Buffer.from(bytes))),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => rheaTypes.Uuid(Buffer.from(bytes))),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => rheaTypes.Decimal64(Buffer.from(bytes))),
    fc.maxSafeInteger().map(rheaTypes.wrap_timestamp),
  ),
  list: fc.array(tie('value'), { maxLength: 12 }).map((items) => rheaTypes.List32(items)),
  map: fc.array(tie('value'), { maxLength: 5 }).map((items) => rheaTypes.Map32(items)),
  array: fc.array(fc.nat({ max: 255 }), { maxLength: 4 }).map((items) => rheaTypes.Array32(items, 0x50)),
  described: fc
    .tuple(fc.constantFrom(0x10, 0x1d, 0x24, 0x25, 0x28, 0x29, 0x30, 0x70, 0x75, 'constructor'), tie('value'))
    .map(([code, value]) => rheaTypes.described(typeof code === 'number' ? rheaTypes.wrap_ulong(code) : text(code), clone(value))),
})).value;

/** rhea puts a descriptor on the value itself. */
function clone(value: unknown): unknown {
  return Object.assign(Object.create(Object.getPrototypeOf(value) as object) as object, value);
}

const termini: fc.Arbitrary<unknown> = fc
  .tuple(fc.constantFrom(0x28, 0x29), fc.array(anyValue, { maxLength: 11 }))
  .map(([code, values]) => rheaTypes.described(rheaTypes.wrap_ulong(code), rheaTypes.List32(values)));

/** A field as it should be more often than not, or anything. */
const field = (right: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: right }, { weight: 1, arbitrary: anyValue });
const count = fc.nat({ max: 6 }).map(uint);
const bool = fc.boolean().map(flag);
const id = fc.constantFrom('a', 'b').map(text);
const attached = fc
  .constantFrom('d', 'e')
  .chain((device) =>
    fc.constantFrom(source, target).map((terminus) => (scope: string) => terminus(`${scope}/registrations/${device}`) as unknown),
  );
const described = fc
  .constantFrom(0x23, 0x24, 0x25, 0x26, 0x27)
  .chain((code) =>
    fc
      .array(anyValue, { maxLength: 3 })
      .map((values) => rheaTypes.described(rheaTypes.wrap_ulong(code), rheaTypes.List32(values)) as unknown),
  );
const layouts: Readonly<Record<Name, readonly fc.Arbitrary<unknown>[]>> = {
  begin: [fc.constant(rheaTypes.Null()), count, count, count, count],
  attach: [
    id,
    count,
    bool,
    count,
    count,
    fc.oneof(attached, termini),
    fc.oneof(attached, termini),
    anyValue,
    bool,
    count,
    anyValue,
    anyValue,
    anyValue,
    anyValue,
  ],
  flow: [count, count, count, count, count, count, count, count, bool, bool, anyValue],
  transfer: [count, count, fc.constant(binary(Buffer.alloc(16))), fc.constant(uint(0)), bool, bool, count, described, bool, bool, bool],
  disposition: [bool, count, count, bool, described, bool],
  detach: [count, bool, anyValue],
  end: [anyValue],
  close: [anyValue],
};
const names = [
  'begin',
  'attach',
  'attach',
  'attach',
  'flow',
  'transfer',
  'transfer',
  'transfer',
  'disposition',
  'disposition',
  'detach',
  'end',
  'close',
] as const;
const anyFrame = fc
  .constantFrom(...names)
  .chain((name) =>
    fc.tuple(
      fc.constant(name),
      fc.tuple(...layouts[name].map(field)),
      fc.nat({ max: name === 'begin' ? 2 : 0 }),
      fc.oneof(fc.constant(message), anyValue),
    ),
  );

test('ok/no well-formed frame harms more than its own connection, whatever is in its fields', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyFrame, { minLength: 1, maxLength: 12 }), async (sequence) => {
      const peer = await stranger();
      for (const [name, fields, channel, content] of sequence) {
        const values = fields.map((value) =>
          typeof value === 'function' ? (value as (scope: string) => unknown)(service.idScope) : value,
        );
        const payload = name !== 'transfer' ? Buffer.alloc(0) : Buffer.isBuffer(content) ? content : encodeValue(content);
        peer.write(rawFrame(name, values, { channel, payload }));
      }
      await turns(12);
      peer.stream.end();
      await turns(3);
      service.clock.advance(seconds(1000));
      await until(() => service.door.connectionCount() === 0, 'the end of the connection');
      expect(Object.keys(Object.prototype)).toEqual([]);
    }),
    { numRuns: 150 },
  );
  expect(service.log.named('amqp.failure')).toEqual([]);
});

function encodeValue(value: unknown): Buffer {
  const writer = new rheaTypes.Writer();
  writer.write(value);
  return writer.toBuffer() as Buffer;
}

/** Sends frames until the connection ends or so many have gone. Returns how many went. */
async function flood(peer: RawPeer, most: number, next: (at: number) => Buffer): Promise<number> {
  for (let at = 0; at < most; at += 100) {
    if (peer.closed || peer.stream.readableEnded) return at;
    peer.write(Buffer.concat(Array.from({ length: 100 }, (_, within) => next(at + within))));
    await turns(2);
  }
  return most;
}

const unfinished = (handle: number, deliveryId: number, payload: Buffer): Buffer =>
  rawFrame('transfer', [uint(handle), uint(deliveryId), binary(Buffer.alloc(1)), uint(0), flag(false), flag(true)], { payload });

test('refused/a message without end in frames without bytes', async () => {
  const peer = await stranger();
  expect(await flood(peer, 40_000, () => unfinished(0, 0, Buffer.alloc(0)))).toBeLessThan(20_000);
  expect(errorOf((await peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
});

test('refused/unfinished messages on many links, together more than a connection may have under way', async () => {
  const peer = await stranger();
  const links = 20;
  for (let handle = 2; handle < links; handle += 1) peer.send('attach', senderOf(addressOf(`d-${handle}`), handle));
  await peer.next('attach', links);
  const piece = Buffer.alloc(60_000);
  for (let handle = 2; handle < links; handle += 1) peer.write(unfinished(handle, handle - 2, piece));
  expect(errorOf((await peer.next('close')).fields[0]).condition).toBe('amqp:resource-limit-exceeded');
});

test('ok/a finished message, a closed link and an aborted delivery make room for others', async () => {
  const peer = await stranger();
  const piece = Buffer.alloc(60_000);
  const finish = (settle: number[]): readonly unknown[] => [
    uint(0),
    uint(settle[0] ?? 0),
    binary(Buffer.alloc(1)),
    uint(0),
    flag(false),
    flag(false),
    rheaTypes.Null(),
    rheaTypes.Null(),
    flag(false),
    flag(settle[1] === 1),
  ];
  for (let round = 0; round < 30; round += 1) {
    peer.write(unfinished(0, round, piece));
    peer.write(rawFrame('transfer', finish([round, round % 2])));
    await turns(3);
  }
  expect(peer.named('close')).toHaveLength(0);
  for (let round = 0; round < 30; round += 1) {
    peer.send('attach', senderOf(addressOf('other'), 2));
    await peer.next('attach', 3 + round);
    peer.write(unfinished(2, 30 + round, piece));
    peer.send('detach', { handle: 2, closed: true });
    await peer.next('detach', 1 + round);
  }
  expect(peer.named('close')).toHaveLength(0);
});

test('refused/a request after its receiver has gone, and the receiver of another device answers nobody else', async () => {
  const peer = await stranger();
  peer.send('detach', { handle: 1, closed: true });
  await peer.next('detach');
  peer.transfer(0, { application_properties: { 'iotdps-operation-type': 'iotdps-register' } });
  const { fields } = await peer.next('disposition');
  expect(errorOf(fields[4]?.value[0]).description).toContain('Attach a receiver');
});
