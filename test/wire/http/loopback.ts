import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { PeerConnection } from '../../../src/transports/connection.ts';

/** A plain TCP listener in the place of the TLS one: hands every socket to the door with the certificates it is told. */
export interface Loopback {
  readonly port: number;
  readonly server: Server;
  /** What the next connections present. */
  present(certificates: readonly Uint8Array[]): void;
  close(): Promise<void>;
}

export async function openLoopback(door: { accept(connection: PeerConnection): void }): Promise<Loopback> {
  let certificates: readonly Uint8Array[] = [];
  const server = createServer((stream) => door.accept({ stream, certificates, serverName: 'localhost', remoteAddress: '127.0.0.1' }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    server,
    present: (shown) => void (certificates = shown),
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly text: string;
  /** The parsed body; throws when it is not JSON. */
  readonly json: any;
}

export interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** One request through Node's own client, on a connection of its own. */
export async function ask(port: number, asked: Asked): Promise<Answer> {
  const headers = { ...(asked.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(asked.body)) }), ...asked.headers };
  const sent = request({ host: '127.0.0.1', port, method: asked.method ?? 'GET', path: asked.path, headers, agent: false });
  sent.end(asked.body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const text = Buffer.concat((await answer.toArray()) as Buffer[]).toString('utf8');
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    rawHeaders: answer.rawHeaders,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** A socket of which every byte is kept. */
export interface RawPeer {
  readonly socket: Socket;
  received(): string;
  /** Resolves once the text so far satisfies `enough`; rejects when the other side ends before. */
  until(enough: (text: string) => boolean): Promise<string>;
  /** Resolves with everything when the connection has ended. */
  ended(): Promise<string>;
}

export async function rawPeer(port: number, first?: string): Promise<RawPeer> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  if (first !== undefined) socket.write(first, 'latin1');
  return {
    socket,
    received: () => text,
    until: (enough) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!enough(text)) return;
          socket.off('data', check);
          resolve(text);
        };
        socket.on('data', check);
        void closed.then(() => (enough(text) ? resolve(text) : reject(new Error(`ended after: ${text}`))));
        check();
      }),
    ended: async () => {
      await closed;
      return text;
    },
  };
}
