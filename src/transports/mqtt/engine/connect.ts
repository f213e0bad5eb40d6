import type { IConnectPacket } from 'mqtt-packet';
import type { ConnectRequest } from './binding.ts';
import { ProtocolViolation } from './close-reason.ts';

/** Return codes that the protocol itself asks for (chapter 3.2.2.3); all others come from the error table. */
export const connackCodes = { protocolLevel: 1, identifier: 2, badUserName: 4 } as const;

/** Reads a CONNECT, or returns the CONNACK code of its refusal. Throws `ProtocolViolation`. */
export function readConnect(packet: IConnectPacket, from: Pick<ConnectRequest, 'peer' | 'certificates'>): ConnectRequest | number {
  const { clientId, username, will } = packet;
  for (const text of [clientId, username, will?.topic]) checkText(text);
  // Both services know a client by its id; [MQTT-3.1.3-8] names this refusal.
  if (clientId === '') return connackCodes.identifier;
  if (username === undefined || username === '') return connackCodes.badUserName;
  const password = packet.password?.toString('utf8') ?? '';
  return {
    clientId,
    userName: username,
    clean: packet.clean !== false,
    ...from,
    ...(password !== '' && { password }),
    ...(will !== undefined && { will: readWill(will) }),
  };
}

function readWill(will: NonNullable<IConnectPacket['will']>): NonNullable<ConnectRequest['will']> {
  const qos = will.qos ?? 0;
  if (qos !== 0 && qos !== 1) throw new ProtocolViolation('violation', `will with QoS ${qos}`);
  // Copied, because it lives as long as the connection and would keep the whole receive buffer alive.
  return { topic: will.topic, payload: Buffer.from(will.payload), qos, retain: will.retain === true };
}

/** The codec replaces ill-formed UTF-8 by U+FFFD, which no id or user name contains [MQTT-1.5.3-1, 1.5.3-2]. */
function checkText(text: string | undefined): void {
  if (text?.includes('\0') === true || text?.includes('\uFFFD') === true) {
    throw new ProtocolViolation('malformed', 'CONNECT contains ill-formed text');
  }
}
