import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { type ByteBudget, unlimitedBytes } from '../../../kernel/byte-budget.ts';
import type { PeerConnection } from '../../connection.ts';

/** Who takes over a WebSocket, by the protocol that it speaks inside. */
export interface WebSocketTakers {
  mqtt(connection: PeerConnection): void;
  amqp(connection: PeerConnection): void;
}

/** `mqtt` comes in both cases (C SDK: `MQTT`); whichever was offered is echoed (clients.md 5). */
const takerByProtocol = new Map<string, keyof WebSocketTakers>([
  ['mqtt', 'mqtt'],
  ['amqpwsb10', 'amqp'],
]);

/** The first offered sub-protocol that somebody speaks; path and query do not matter. */
export function chooseProtocol(
  offered: Iterable<string>,
): { readonly protocol: string; readonly taker: keyof WebSocketTakers } | undefined {
  for (const protocol of offered) {
    const taker = takerByProtocol.get(protocol.toLowerCase());
    if (taker !== undefined) return { protocol, taker };
  }
  return undefined;
}

/** Reads the `Sec-WebSocket-Protocol` header of an upgrade. */
export function offeredProtocols(message: IncomingMessage): readonly string[] {
  const header = message.headers['sec-websocket-protocol'];
  return header === undefined ? [] : header.split(',').map((word) => word.trim());
}

/** Pieces of one message that wait for the rest, each with a cost of its own however small; genuine clients send one. */
const pieces = { maxFragments: 1024, maxBufferedChunks: 1024 };
/** Pongs that a peer lets wait, in bytes: whoever asks for more without reading is cut off. */
const waitingPongBytes = 64 * 1024;

/** Finishes WebSocket handshakes and hands the bytes inside to their engine. Messages are bounded before they are kept. */
export function createWebSocketUpgrades(deps: {
  readonly takers: WebSocketTakers;
  readonly maxMessageBytes: number;
  /** What all connections buffer together; none unless given. */
  readonly budget?: ByteBudget;
}) {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: deps.maxMessageBytes,
    ...pieces,
    perMessageDeflate: false,
    autoPong: false,
    handleProtocols: (offered) => chooseProtocol(offered)?.protocol ?? false,
  });
  return {
    /** The caller has made sure that a taker exists. A malformed handshake is answered with 400 by the library. */
    upgrade(message: IncomingMessage, peer: PeerConnection, head: Buffer): void {
      server.handleUpgrade(message, peer.stream, head, (socket) => {
        const chosen = chooseProtocol([socket.protocol]);
        if (chosen === undefined) throw new Error('a WebSocket was accepted without a sub-protocol');
        answerPings(socket, peer.stream);
        countUnfinished(socket, peer.stream, deps.budget ?? unlimitedBytes);
        deps.takers[chosen.taker]({ ...peer, stream: streamOf(socket) });
      });
    },
    /** Asks every peer to leave, in the WebSocket's own words. */
    close(): void {
      for (const socket of server.clients) socket.close(1001, 'the service is shutting down');
    },
  };
}

/** A masked frame without a length of its own: what a ping or pong comes in. */
const controlFrameBytes = 6;

/** The library keeps a message until it is whole; only then is it the engine's, who counts it from there. */
function countUnfinished(socket: WebSocket, beneath: Duplex, budget: ByteBudget): void {
  const account = budget.open();
  let unfinished = 0;
  const set = (bytes: number): void => account.set((unfinished = Math.max(0, bytes)));
  // Before the library's own listener, which says within the same call what has become whole.
  beneath.prependListener('data', (chunk: Buffer) => set(unfinished + chunk.length));
  socket.on('message', () => set(0));
  for (const control of ['ping', 'pong'] as const) {
    socket.on(control, (data: Buffer) => set(unfinished - data.length - controlFrameBytes));
  }
  socket.once('close', () => account.close());
}

/** The library would answer every ping, whether or not the peer takes the answers. */
function answerPings(socket: WebSocket, beneath: Duplex): void {
  socket.on('ping', (data: Buffer) => {
    if (beneath.writableLength > waitingPongBytes) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.pong(data);
  });
}

function streamOf(socket: WebSocket): Duplex {
  const stream = createWebSocketStream(socket);
  // Both protocols demand binary frames, and that a text frame ends the connection [MQTT-6.0.0-1].
  socket.on('message', (_, isBinary) => {
    if (isBinary) return;
    socket.close(1003, 'binary frames only');
    stream.destroy();
  });
  // Genuine clients leave without a close handshake (clients.md 5), and a late write to them is no event of ours.
  stream.on('error', () => {});
  return stream;
}
