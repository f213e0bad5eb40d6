import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { expect, test } from 'vitest';
import { Decoder } from '../../../src/transports/mqtt/engine/codec.ts';

/** One decoder reads the packets of all clients. */

const wellFormed = [
  mqttPacket.generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: 'd',
    username: 'u',
    password: Buffer.from('p'),
  }),
  mqttPacket.generate({ cmd: 'subscribe', messageId: 7, subscriptions: [{ topic: 'a/#', qos: 1 }] }),
  mqttPacket.generate({ cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['a/#'] }),
  mqttPacket.generate({ cmd: 'publish', topic: 't', payload: 'x', qos: 1, messageId: 9, dup: false, retain: false }),
  mqttPacket.generate({ cmd: 'puback', messageId: 10 }),
  mqttPacket.generate({ cmd: 'pingreq' }),
  mqttPacket.generate({ cmd: 'disconnect' }),
];

/** Frames as the reader cuts them: one byte of length, which is true, whatever the rest says. */
const anything = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 100 }))
  .map(([first, body]) => Buffer.from([first, body.length, ...body]));
const cut = fc
  .tuple(fc.constantFrom(...wellFormed), fc.nat({ max: 40 }))
  .map(([frame, kept]) => Buffer.from([frame[0] ?? 0, Math.min(kept, frame.length - 2), ...frame.subarray(2, 2 + kept)]));

function outcome(decoder: Decoder, bytes: Buffer): unknown {
  try {
    return { ...decoder.decode({ bytes, bodyStart: 2 }) };
  } catch (thrown) {
    return thrown;
  }
}

test('property/what one client sent, well-formed or not, changes nothing for the next', () => {
  const frames = fc.array(fc.oneof(fc.constantFrom(...wellFormed), cut, anything), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(frames, (sent) => {
      const shared = new Decoder();
      for (const bytes of sent) expect(outcome(shared, bytes)).toEqual(outcome(new Decoder(), bytes));
    }),
    { numRuns: 300 },
  );
});
