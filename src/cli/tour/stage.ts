import type { TransportName } from '../../contracts/transport.ts';
import type { EventWatch } from './event-watch.ts';
import type { Ledger } from './ledger.ts';
import type { Screen } from './screen.ts';
import type { Sensor } from './sensor.ts';
import type { Shell } from './shell.ts';

/** What the steps play on. */
export interface Stage {
  readonly screen: Screen;
  readonly shell: Shell;
  readonly ledger: Ledger;
  /** Starts the service by its command, without `muster`; resolves when it is ready. */
  readonly startService: (command: string) => Promise<void>;
  /** Reads the certificates and the endpoints, so that sensors exist. */
  readonly assembleFleet: () => Promise<Fleet>;
  /** Throws before `assembleFleet`. */
  readonly fleet: () => Fleet;
}

export interface Fleet {
  /** Throws for an id that is not in the cast. */
  sensor(id: string): Sensor;
  readonly sensors: readonly Sensor[];
  readonly events: EventWatch;
}

/** One chapter of the tour. */
export interface Step {
  readonly title: string;
  run(stage: Stage): Promise<void>;
}

/** Who is in it, and what they are called. */
export const dpsName = 'dps-local';
export const hubs = [
  { name: 'hub-a', hostName: 'hub-a.azure-devices.localhost' },
  { name: 'hub-b', hostName: 'hub-b.azure-devices.localhost' },
] as const;
export const groupName = 'sensors';
export const denyName = 'disallow-002';
export const targetId = 'sensor-thl-002';

export interface Part {
  readonly id: string;
  /** What it registers over. */
  readonly registers: TransportName;
  /** What it keeps its connection to the hub over. */
  readonly connects: Exclude<TransportName, 'https'>;
}

export const cast: readonly Part[] = [
  { id: 'sensor-thl-001', registers: 'https', connects: 'mqtt' },
  { id: targetId, registers: 'mqtt', connects: 'mqtt-ws' },
  { id: 'sensor-thl-003', registers: 'amqp', connects: 'amqp' },
];

/** The name that `--hub-name` takes; the host name itself when it is none of ours. */
export function hubNameOf(hostName: string): string {
  return hubs.find((hub) => hub.hostName === hostName)?.name ?? hostName;
}
