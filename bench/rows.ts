import { aedes, bareHttps, bareRhea, bareTls, type Contender, mosquitto, nginx, type Running } from './contenders.ts';
import type { Load } from './load.ts';
import { amqpAttach, amqpTransfer, greeting, http, mqttConnect, mqttPublish, operationMark, type Step } from './scripts.ts';

/** One line of the table: the same work given to Muster and to a peer, or the least that the work can cost. */
export interface Row {
  readonly name: string;
  readonly title: string;
  /** `rate`: operations that a second of the server's CPU buys, more is better. `cost` of an operation and `memory`: less is. */
  readonly unit: 'rate' | 'cost' | 'memory';
  readonly own: Entry;
  /** What it is compared with. */
  readonly others: readonly Entry[];
}

export interface Entry {
  readonly contender: Contender;
  readonly port: keyof Running['ports'];
  readonly load: (running: Running) => Load;
  /** What is asked of the ratio to this one. */
  readonly goal?: { readonly accept: number; readonly ambitious: number };
}

const apiVersion = 'api-version=2021-06-01';
const handshakes = { mode: 'connect', connections: 16, certificates: true } as const;

const registration =
  (poll: boolean): Entry['load'] =>
  (running) => ({
    ...handshakes,
    protocol: 'http',
    steps: (id) => registrationSteps(running, id, poll),
  });

function registrationSteps(running: Running, id: string, poll: boolean): readonly Step[] {
  const base = `/${factsOf(running).idScope}/registrations/${id}`;
  const put = http('PUT', `${base}/register?${apiVersion}`, { expect: 202, body: { registrationId: id } });
  return poll ? [put, http('GET', `${base}/operations/${operationMark}?${apiVersion}`)] : [put];
}

const handshakeOnly: Entry['load'] = () => ({ ...handshakes, protocol: 'byte', steps: () => [greeting] });
const handshakeAndGet: Entry['load'] = () => ({ ...handshakes, protocol: 'http', steps: () => [http('GET', '/')] });
const mqttConnects: Entry['load'] = () => ({ ...handshakes, protocol: 'mqtt', steps: (id) => [mqttConnect(id)] });
const publishes =
  (connections: number, window: number): Entry['load'] =>
  () => ({ protocol: 'mqtt', mode: 'stream', connections, window, certificates: true, steps: (id) => [mqttConnect(id), mqttPublish(id)] });
const transfers: Entry['load'] = () => ({
  protocol: 'amqp',
  mode: 'stream',
  connections: 50,
  window: 10,
  certificates: true,
  steps: (id) => [amqpAttach(id), amqpTransfer()],
});
const held: Entry['load'] = () => ({
  protocol: 'mqtt',
  mode: 'hold',
  connections: 'all',
  certificates: true,
  steps: (id) => [mqttConnect(id)],
});

const identityPath = (id: string): string => `/devices/${id}?api-version=2021-04-12`;

const registry =
  (method: 'GET' | 'PUT'): Entry['load'] =>
  (running) => ({
    protocol: 'http',
    mode: 'stream',
    connections: 32,
    certificates: false,
    steps: (id) => {
      const headers: Record<string, string> = running.muster === undefined ? {} : { Authorization: running.muster.registryToken };
      if (method === 'GET') return [http('GET', identityPath(id), { headers })];
      const body = { deviceId: id, status: 'enabled', statusReason: 'bench', authentication: { type: 'certificateAuthority' } };
      return [http('PUT', identityPath(id), { headers: { ...headers, 'If-Match': '*' }, body })];
    },
  });

function factsOf({ muster: facts }: Running) {
  if (facts === undefined) throw new Error('only Muster takes registrations');
  return facts;
}

const goal = (accept: number, ambitious: number) => ({ accept, ambitious });

/** What `flat` and others put to Muster alone. */
export const loads: Readonly<Record<string, Pick<Entry, 'port' | 'load'>>> = {
  registration: { port: 'https', load: registration(false) },
  'MQTT connect': { port: 'mqtt', load: mqttConnects },
  'QoS 1 publish': { port: 'mqtt', load: publishes(50, 10) },
};

const registrationRows = (muster: Contender, twoWorkers: Contender): readonly Row[] => [
  {
    name: 'register',
    title: 'Registration through a group (TLS, PUT), stored',
    unit: 'rate',
    own: { contender: muster, port: 'https', load: registration(false) },
    others: [
      { contender: bareTls, port: 'tls', load: handshakeOnly, goal: goal(0.6, 0.75) },
      { contender: nginx, port: 'https', load: handshakeAndGet, goal: goal(0.5, 0.62) },
    ],
  },
  {
    name: 'register-poll',
    title: 'Registration and poll to assigned',
    unit: 'rate',
    own: { contender: muster, port: 'https', load: registration(true) },
    others: [{ contender: bareTls, port: 'tls', load: handshakeOnly, goal: goal(0.55, 0.7) }],
  },
  {
    name: 'workers',
    title: 'Registration with two workers, to one process',
    unit: 'cost',
    own: { contender: twoWorkers, port: 'https', load: registration(false) },
    others: [{ contender: muster, port: 'https', load: registration(false), goal: goal(1.15, 1.05) }],
  },
];

const messageRows = (muster: Contender): readonly Row[] => [
  {
    name: 'mqtt-connect',
    title: 'MQTT connect: TLS, certificate, registry',
    unit: 'rate',
    own: { contender: muster, port: 'mqtt', load: mqttConnects },
    others: [
      { contender: mosquitto, port: 'mqtt', load: mqttConnects, goal: goal(0.75, 0.95) },
      { contender: aedes, port: 'mqtt', load: mqttConnects },
    ],
  },
  {
    name: 'publish-50x10',
    title: 'QoS 1 publish, 50 connections x 10 in flight',
    unit: 'rate',
    own: { contender: muster, port: 'mqtt', load: publishes(50, 10) },
    others: [
      { contender: mosquitto, port: 'mqtt', load: publishes(50, 10), goal: goal(0.8, 1.5) },
      { contender: aedes, port: 'mqtt', load: publishes(50, 10) },
    ],
  },
  {
    name: 'publish-500x1',
    title: 'QoS 1 publish, 500 connections x 1 in flight',
    unit: 'rate',
    own: { contender: muster, port: 'mqtt', load: publishes(500, 1) },
    others: [
      { contender: mosquitto, port: 'mqtt', load: publishes(500, 1), goal: goal(0.7, 0.9) },
      { contender: aedes, port: 'mqtt', load: publishes(500, 1) },
    ],
  },
  {
    name: 'amqp-transfer',
    title: 'AMQP transfer, 50 connections x 10 in flight',
    unit: 'rate',
    own: { contender: muster, port: 'amqp', load: transfers },
    others: [{ contender: bareRhea, port: 'amqp', load: transfers, goal: goal(0.8, 1.2) }],
  },
  {
    name: 'idle-memory',
    title: 'Memory of an idle MQTT connection',
    unit: 'memory',
    own: { contender: muster, port: 'mqtt', load: held },
    others: [
      { contender: mosquitto, port: 'mqtt', load: held, goal: goal(2.2, 1.7) },
      { contender: aedes, port: 'mqtt', load: held },
    ],
  },
];

const registryRows = (muster: Contender): readonly Row[] => [
  {
    name: 'registry-get',
    title: 'Device identity GET, keep-alive',
    unit: 'rate',
    own: { contender: muster, port: 'https', load: registry('GET') },
    others: [{ contender: bareHttps, port: 'https', load: registry('GET'), goal: goal(0.5, 0.7) }],
  },
  {
    name: 'registry-put',
    title: 'Device identity PUT, keep-alive, stored',
    unit: 'rate',
    own: { contender: muster, port: 'https', load: registry('PUT') },
    others: [{ contender: bareHttps, port: 'https', load: registry('PUT') }],
  },
];

export const createRows = ({ muster, twoWorkers }: { readonly muster: Contender; readonly twoWorkers: Contender }): readonly Row[] => [
  ...registrationRows(muster, twoWorkers),
  ...messageRows(muster),
  ...registryRows(muster),
];

/** How many devices there are, each with a connection of its own when connections are held. */
export const heldConnections = 2000;

/** Has every device registered, so that it has an identity at the hub. */
export const everybodyRegisters = registration(false);
