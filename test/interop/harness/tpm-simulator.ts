import { connect, createServer, type Server, type Socket } from 'node:net';

import { freePortPair } from '../../fixtures/free-ports.ts';
import { type SoftwareTpm, startSoftwareTpm } from '../../fixtures/software-tpm.ts';

/** Words of the protocol of the TPM reference simulator, which Azure's TSS speaks. */
const words = { sendCommand: 8, handShake: 15 } as const;
const clientVersion = 1;

/** A software TPM that speaks as the reference simulator does. The TPM itself is swtpm's, and sees the client's commands as they are. */
export interface TpmSimulator {
  readonly port: number;
  close(): Promise<void>;
}

export async function startTpmSimulator(): Promise<TpmSimulator> {
  const tpm = await startSoftwareTpm({ withKeys: false });
  const port = await freePortPair();
  const commands = await listen(port, (socket) => void serveCommands(socket, tpm).catch(() => socket.destroy()));
  // Power and non-volatile memory are always on.
  const platform = await listen(port + 1, (socket) => socket.on('data', () => socket.write(Buffer.alloc(4))));
  return {
    port,
    async close() {
      for (const server of [commands, platform]) server.close();
      await tpm.close();
    },
  };
}

async function serveCommands(client: Socket, tpm: SoftwareTpm): Promise<void> {
  const device = connect(tpm.port, '127.0.0.1');
  client.once('close', () => device.destroy());
  const [fromClient, fromDevice] = [reader(client), reader(device)];
  for (;;) {
    const word = (await fromClient(4)).readUInt32BE(0);
    if (word === words.handShake) {
      await fromClient(4);
      client.write(Buffer.concat([uint32(clientVersion), uint32(0), uint32(0)]));
    } else if (word === words.sendCommand) {
      const length = (await fromClient(5)).readUInt32BE(1);
      device.write(await fromClient(length));
      const head = await fromDevice(6);
      const response = Buffer.concat([head, await fromDevice(head.readUInt32BE(2) - head.length)]);
      client.write(Buffer.concat([uint32(response.length), response, uint32(0)]));
    } else {
      throw new Error(`the simulator does not know the word ${word}`);
    }
  }
}

/** Reads so many bytes; rejects when the socket ends before. */
function reader(socket: Socket): (length: number) => Promise<Buffer> {
  let buffered = Buffer.alloc(0);
  let wake: () => void = () => {};
  let over = false;
  socket.on('data', (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    wake();
  });
  for (const event of ['close', 'error']) {
    socket.on(event, () => {
      over = true;
      wake();
    });
  }
  return async (length) => {
    while (buffered.length < length) {
      if (over) throw new Error('the connection ended');
      await new Promise<void>((resolve) => (wake = resolve));
    }
    const taken = buffered.subarray(0, length);
    buffered = buffered.subarray(length);
    return taken;
  };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function listen(port: number, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      onConnection(socket);
    });
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
