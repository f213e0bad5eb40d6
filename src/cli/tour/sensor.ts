import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';

import type { Endpoints } from '../../contracts/muster-endpoints.ts';
import type { TransportName } from '../../contracts/transport.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { type DeviceDoor, type HubConnection, Refusal } from '../device/door.ts';
import { type DeviceMessage, jsonMessage } from '../device/message.ts';
import { deviceTransports } from '../device/transports.ts';
import { inTime } from '../device/waiting.ts';
import { failure } from '../exit-code.ts';
import { type Registered, registerOver } from './registered.ts';
import { type Pump, startPump, type Tally } from './telemetry.ts';

/** The end of a live connection as its device saw it. */
export interface Drop {
  /** On the clock of this process, in milliseconds. */
  readonly at: number;
  readonly reason: string;
}

export interface Post {
  readonly transport: TransportName;
  readonly hubHostName: string;
}

/** A simulated device: the code of `muster device run`, with a finger on its pulse. */
export interface Sensor {
  readonly id: string;
  readonly tally: Tally;
  /** Every time that a hub ended a connection of it. */
  readonly drops: readonly Drop[];
  isConnected(): boolean;
  /** Where it connected last, and how. Throws before the first time. */
  post(): Post;
  register(transport: TransportName): Promise<Registered>;
  /** Connects, reads the twin, reports, and sends from then on. Returns the desired properties. */
  connect(transport: TransportName, hubHostName: string): Promise<JsonObject>;
  /** Resolves with the end of the live connection; with `undefined` when it does not come in that time. */
  dropped(patienceMilliseconds: number): Promise<Drop | undefined>;
  /** Tries to get into a hub. Returns the words of the refusal; `undefined` when it was let in. */
  knock(transport: TransportName, hubHostName: string): Promise<string | undefined>;
  stopSending(): Promise<void>;
  leave(): Promise<void>;
}

export interface Credentials {
  readonly id: string;
  /** PEM, leaf first. */
  readonly certificate: string;
  readonly key: string;
}

interface Live {
  readonly connection: HubConnection;
  readonly pump: Pump;
  readonly dropped: Promise<Drop>;
}

export function createSensor(deps: {
  readonly credentials: Credentials;
  readonly endpoints: Endpoints;
  readonly authorities: readonly string[];
}): Sensor {
  const { credentials, endpoints } = deps;
  const { id } = credentials;
  const tally: Tally = { sent: 0, acknowledged: [] };
  const drops: Drop[] = [];
  let live: Live | undefined;
  let connected = false;
  let post: Post | undefined;

  async function connect(transport: TransportName, hubHostName: string): Promise<JsonObject> {
    await leave();
    const connection = await deviceTransports[transport].connect(doorOf(deps, transport, hubHostName), id);
    connected = true;
    post = { transport, hubHostName };
    const dropped = connection.dropped.then((reason) => {
      const drop = { at: performance.now(), reason };
      drops.push(drop);
      connected = false;
      return drop;
    });
    const desired = await introduce(connection, transport);
    const send = (number: number): Promise<void> =>
      inTime(Promise.race([connection.send(message(number)), refusalOf(dropped)]), 'The acknowledgement of the hub');
    live = { connection, dropped, pump: startPump({ send, tally }) };
    return desired;
  }

  async function leave(): Promise<void> {
    const leaving = live;
    live = undefined;
    connected = false;
    await leaving?.pump.stop();
    await leaving?.connection.close();
  }

  return {
    id,
    tally,
    drops,
    isConnected: () => connected,
    post: () => {
      if (post === undefined) throw failure(`${id} was never connected to a hub.`);
      return post;
    },
    register: (transport) => {
      const [dps] = endpoints.dps;
      if (dps === undefined) throw failure('The service of the tour has no provisioning service.');
      return registerOver(transport, doorOf(deps, transport, dps.globalEndpoint), { idScope: dps.idScope, registrationId: id });
    },
    connect,
    dropped: (patienceMilliseconds) => withPatience(live?.dropped, patienceMilliseconds),
    knock: (transport, hubHostName) => knock(transport, doorOf(deps, transport, hubHostName), id),
    stopSending: async () => live?.pump.stop(),
    leave,
  };
}

function doorOf(
  { credentials, endpoints, authorities }: Parameters<typeof createSensor>[0],
  transport: TransportName,
  hostName: string,
): DeviceDoor {
  const port = endpoints.ports[deviceTransports[transport].door];
  if (port === undefined) throw failure(`The service of the tour has no door for ${transport}.`);
  return { hostName, port, certificate: credentials.certificate, key: credentials.key, authorities };
}

async function introduce({ twin }: HubConnection, transport: TransportName): Promise<JsonObject> {
  if (twin === undefined) throw failure(`There is no twin over ${transport}.`);
  const { desired } = await inTime(twin.get(), 'The twin');
  await inTime(twin.report({ transport }), 'The answer to the report');
  return desired;
}

/** Over HTTPS there is nothing to connect, so a message is what knocks; its number is one that no sensor counts. */
async function knock(transport: TransportName, door: DeviceDoor, id: string): Promise<string | undefined> {
  try {
    const connection = await deviceTransports[transport].connect(door, id);
    try {
      if (transport === 'https') await connection.send(message(0));
    } finally {
      await connection.close();
    }
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

const message = (number: number): DeviceMessage => jsonMessage(randomUUID(), { number });

async function refusalOf(dropped: Promise<Drop>): Promise<never> {
  throw new Refusal((await dropped).reason);
}

async function withPatience(dropped: Promise<Drop> | undefined, patienceMilliseconds: number): Promise<Drop | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), patienceMilliseconds);
  });
  try {
    return await Promise.race([dropped ?? late, late]);
  } finally {
    clearTimeout(timer);
  }
}
