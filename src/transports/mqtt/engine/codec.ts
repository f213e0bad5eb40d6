import { isUtf8 } from 'node:buffer';
import mqttPacket, { type Packet, type Parser } from 'mqtt-packet';
import type { InboundMessage } from './binding.ts';
import { ProtocolViolation } from './close-reason.ts';
import type { Frame } from './frame-reader.ts';

export type InboundPublish = { readonly cmd: 'publish'; readonly messageId: number; readonly message: InboundMessage };
export type InboundPacket = InboundPublish | Exclude<Packet, { cmd: 'publish' }>;

const publishType = 3;
const connectType = 1;

/** Whether a first byte opens a CONNECT; its flags are reserved and zero [MQTT-2.2.2-1]. */
export const opensConnect = (firstByte: number): boolean => firstByte === connectType << 4;

/**
 * Turns frames into packets. PUBLISH, of which there are many, is read here; mqtt-packet reads the rest. A frame is whole and
 * read at once, so one decoder serves all connections: a parser of its own costs each of them kilobytes.
 */
export class Decoder {
  #parser = newParser();

  /** Throws `ProtocolViolation('malformed')`. */
  decode(frame: Frame): InboundPacket {
    if ((frame.bytes[0] ?? 0) >> 4 === publishType) return decodePublish(frame);
    const packet = this.#parse(frame.bytes);
    if (packet.cmd === 'publish') throw new Error('a PUBLISH went past its reader');
    if (needsId.has(packet.cmd) && !isPacketId(packet.messageId)) throw malformed(`${packet.cmd} without a packet identifier`);
    return packet;
  }

  #parse(bytes: Buffer): Packet {
    let reusable = false;
    try {
      const { packet, error, unread } = parseWith(this.#parser, bytes);
      // It makes a CONNECT its settings, and would keep that client's password.
      reusable = error === undefined && unread === 0 && packet?.cmd !== 'connect';
      if (error !== undefined || packet === undefined) throw malformed(error?.message ?? 'the packet does not parse');
      return packet;
    } catch (thrown) {
      // The library reads past the end of some truncated packets; a RangeError is its word for "malformed".
      if (!(thrown instanceof RangeError)) throw thrown;
      throw malformed('the packet ends too early');
    } finally {
      // What one client left in it must not meet the next one's bytes.
      if (!reusable) this.#parser = newParser();
    }
  }
}

const newParser = (): Parser => mqttPacket.parser({ protocolVersion: 4 });

interface Parsed {
  packet?: Packet;
  error?: Error;
  /** Bytes that the parser keeps for later. */
  unread: number;
}

function parseWith(parser: Parser, bytes: Buffer): Parsed {
  const parsed: Parsed = { unread: 0 };
  parser.removeAllListeners();
  parser.on('packet', (packet) => (parsed.packet = packet));
  parser.on('error', (error: Error) => (parsed.error = error));
  parsed.unread = parser.parse(bytes);
  return parsed;
}

const needsId = new Set<string>(['puback', 'subscribe', 'unsubscribe']);
const isPacketId = (id: number | undefined): boolean => id !== undefined && id > 0 && id <= 0xff_ff;

function decodePublish({ bytes, bodyStart }: Frame): InboundPublish {
  const flags = bytes[0] ?? 0;
  const qos = (flags >> 1) & 3;
  // Neither service takes QoS 2, and 3 does not exist: both close the connection (hub reference 3.2, [MQTT-3.3.1-4]).
  if (qos !== 0 && qos !== 1) throw new ProtocolViolation('violation', `PUBLISH with QoS ${qos}`);
  const topicStart = bodyStart + 2;
  if (topicStart > bytes.length) throw malformed('PUBLISH without a topic');
  const topicEnd = topicStart + bytes.readUInt16BE(bodyStart);
  const payloadStart = topicEnd + 2 * qos;
  if (payloadStart > bytes.length) throw malformed('PUBLISH ends too early');
  const topic = readText(bytes.subarray(topicStart, topicEnd));
  const messageId = qos === 0 ? 0 : bytes.readUInt16BE(topicEnd);
  if (qos === 1 && messageId === 0) throw malformed('PUBLISH with packet identifier 0');
  return {
    cmd: 'publish',
    messageId,
    message: { topic, payload: bytes.subarray(payloadStart), qos, retain: (flags & 1) === 1 },
  };
}

/** Well-formed UTF-8 without U+0000 [MQTT-1.5.3-1, 1.5.3-2]. */
function readText(bytes: Buffer): string {
  if (bytes.length === 0 || bytes.includes(0) || !isUtf8(bytes)) throw malformed('topic is not text');
  return bytes.toString('utf8');
}

/** The protocol level of a CONNECT, read before anything else because later levels look different further on. */
export function protocolLevel({ bytes, bodyStart }: Frame): number {
  const name = bytes.subarray(bodyStart, bodyStart + 2).length === 2 ? bytes.readUInt16BE(bodyStart) : -1;
  const nameEnd = bodyStart + 2 + name;
  const text = bytes.toString('latin1', bodyStart + 2, nameEnd);
  const level = bytes[nameEnd];
  if ((text !== 'MQTT' && text !== 'MQIsdp') || level === undefined) throw malformed('CONNECT of another protocol');
  return level;
}

const malformed = (message: string): ProtocolViolation => new ProtocolViolation('malformed', message);

/** PUBACKs for all of these in one buffer: a write per PUBACK is what costs most of a small publish. */
export function encodePubacks(messageIds: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * messageIds.length);
  for (const [index, id] of messageIds.entries()) {
    bytes.writeUInt16BE(0x40_02, 4 * index);
    bytes.writeUInt16BE(id, 4 * index + 2);
  }
  return bytes;
}

export function encode(packet: Packet): Buffer {
  return mqttPacket.generate(packet);
}
