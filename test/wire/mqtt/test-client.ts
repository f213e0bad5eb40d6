import type { Duplex } from 'node:stream';
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet';
import type { PeerConnection, Door } from '../../../src/transports/connection.ts';
import type { MqttTransport } from '../../../src/transports/mqtt/engine/binding.ts';
import { duplexPair } from '../../fixtures/duplex-pair.ts';

/** Lets everything happen that does not wait for time or for the test. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The client end of a connection: speaks packets or bytes, collects what comes back. */
export class TestClient {
  readonly stream: Duplex;
  readonly received: Packet[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  #waiting: ((packet: Packet | undefined) => void)[] = [];
  #next = 0;

  constructor(stream: Duplex, options: { readonly reads: boolean } = { reads: true }) {
    this.stream = stream;
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on('packet', (packet) => {
      this.received.push(packet);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      stream.on('close', () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      });
    });
    stream.on('error', () => undefined);
    if (options.reads) stream.on('data', (chunk: Buffer) => parser.parse(chunk));
  }

  sendBytes(bytes: Buffer | readonly number[]): void {
    this.stream.write(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes));
  }

  /** All of them in one write. */
  send(...packets: Packet[]): void {
    this.sendBytes(Buffer.concat(packets.map((packet) => mqttPacket.generate(packet))));
  }

  connect(fields: Partial<IConnectPacket> & { readonly clientId: string }): void {
    this.send(connectPacket(fields));
  }

  publish(topic: string, payload: string | Buffer = '', messageId?: number): void {
    this.send(publishPacket(topic, payload, messageId));
  }

  /** The next packet, or `undefined` when the connection closed before one came. */
  async next(): Promise<Packet | undefined> {
    for (;;) {
      const packet = this.received[this.#next];
      if (packet !== undefined) {
        this.#next += 1;
        return packet;
      }
      if (this.isClosed) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(() => resolve()));
    }
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 1): Promise<Packet | undefined> {
    this.send({ cmd: 'subscribe', messageId: 900, subscriptions: [{ topic: filter, qos }] });
    return this.next();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake(undefined);
  }
}

export const connectPacket = (fields: Partial<IConnectPacket> & { readonly clientId: string }): IConnectPacket => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  keepalive: 60,
  ...fields,
});

export const publishPacket = (topic: string, payload: string | Buffer = '', messageId?: number): Packet => ({
  cmd: 'publish',
  topic,
  payload,
  dup: false,
  retain: false,
  ...(messageId === undefined ? { qos: 0 } : { qos: 1, messageId }),
});

export interface Opened extends Partial<Omit<PeerConnection, 'stream'>> {
  readonly transport?: MqttTransport;
  readonly reads?: boolean;
}

/** Connects a client to a door over an in-memory stream. */
export function open(door: Door<MqttTransport>, { transport = 'mqtt', reads = true, ...peer }: Opened = {}): TestClient {
  const [here, there] = duplexPair();
  const client = new TestClient(here, { reads });
  door.accept({ stream: there, certificates: [], serverName: undefined, remoteAddress: '192.0.2.7', ...peer }, transport);
  return client;
}
