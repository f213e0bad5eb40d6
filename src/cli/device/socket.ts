import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions } from 'node:tls';

import { createWebSocketStream, WebSocket } from 'ws';

import { lookupName } from '../client/local-names.ts';
import { explainConnection } from '../client/system-error.ts';
import { failure } from '../exit-code.ts';
import type { DeviceDoor } from './door.ts';

const handshakeMilliseconds = 30_000;

/** Where TLS leads; who has no certificate shows none. */
type TlsDoor = Pick<DeviceDoor, 'hostName' | 'port' | 'authorities'> & Partial<Pick<DeviceDoor, 'certificate' | 'key'>>;

/** A TLS connection, with the certificate of a device if there is one, the server's verified. */
export function openTls(door: TlsDoor): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const options: ConnectionOptions = {
      ...identityOf(door),
      host: door.hostName,
      port: door.port,
      servername: door.hostName,
      lookup: lookupName,
    };
    const socket = connect(options);
    const giveUp = (error: Error): void => {
      socket.destroy();
      reject(failure(explainConnection(error, addressOf(door))));
    };
    socket.setTimeout(handshakeMilliseconds, () => giveUp(Object.assign(new Error('no handshake in time'), { code: 'ETIMEDOUT' })));
    socket.once('error', giveUp);
    socket.once('secureConnect', () => {
      socket.setTimeout(0);
      socket.off('error', giveUp);
      resolve(socket);
    });
  });
}

/** A WebSocket on the path that every SDK uses, as a stream of bytes. */
export function openWebSocket(door: DeviceDoor, protocol: 'mqtt' | 'AMQPWSB10'): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const url = `wss://${addressOf(door)}/$iothub/websocket`;
    const socket = new WebSocket(url, [protocol], { ...identityOf(door), lookup: lookupName, handshakeTimeout: handshakeMilliseconds });
    const giveUp = (error: Error): void => reject(failure(explainConnection(error, addressOf(door))));
    socket.once('error', giveUp);
    socket.once('open', () => {
      socket.off('error', giveUp);
      const stream = createWebSocketStream(socket);
      // Its writing half stays open when the other side closes, and then nobody hears `close`.
      stream.once('end', () => stream.destroy());
      resolve(stream);
    });
  });
}

export const addressOf = ({ hostName, port }: Pick<DeviceDoor, 'hostName' | 'port'>): string => `${hostName}:${port}`;

function identityOf({ certificate, key, authorities }: TlsDoor): { cert?: string; key?: string; ca: string[] } {
  const identity = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  return { ...identity, ca: [...authorities] };
}
