import type { Config } from '../config/config.ts';
import { createByteBudget } from '../kernel/byte-budget.ts';
import type { createClosers } from '../runtime/closers.ts';
import { createAmqpDoor } from '../transports/amqp/door.ts';
import { createHttpDoor } from '../transports/http/door.ts';
import { createMqttDoor } from '../transports/mqtt/door.ts';
import type { Domains, Surroundings } from './domains.ts';
import type { openDoors } from './doors.ts';

type Accept = Required<Pick<Parameters<typeof openDoors>[0]['accept'], 'https' | 'mqtt' | 'amqp'>>;

export interface DeviceDoors {
  /** What the ports are for. */
  readonly accept: Accept;
  /** What every door is made of. */
  readonly dependencies: Parameters<typeof createMqttDoor>[0] & Parameters<typeof createAmqpDoor>[0];
}

/** Everything that devices and Azure's services speak. `share` is this process' part of what all connections may buffer. */
export async function createDeviceDoors(
  { provisioning, hub, clock, ids, log, config }: Domains & Surroundings & { readonly config: Config },
  { closers, share }: { readonly closers: ReturnType<typeof createClosers>; readonly share: number },
): Promise<DeviceDoors> {
  const budget = createByteBudget(Math.floor(config.bufferedMegabytes * 1024 * 1024 * share));
  const dependencies = { provisioning, hub, clock, ids, log, budget };
  const mqtt = closers.keep(createMqttDoor(dependencies));
  const amqp = closers.keep(createAmqpDoor(dependencies));
  const webSockets: Parameters<typeof createHttpDoor>[0]['webSockets'] = {
    mqtt: (connection) => mqtt.accept(connection, 'mqtt-ws'),
    amqp: (connection) => amqp.accept(connection, 'amqp-ws'),
  };
  const http = closers.keep(await createHttpDoor({ ...dependencies, webSockets }));
  return {
    dependencies,
    accept: {
      https: (connection) => http.accept(connection, 'https'),
      mqtt: (connection) => mqtt.accept(connection, 'mqtt'),
      amqp: (connection) => amqp.accept(connection, 'amqp'),
    },
  };
}
