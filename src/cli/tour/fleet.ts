import { readFile } from 'node:fs/promises';

import { readRunningService } from '../client/running-service.ts';
import type { CommandContext } from '../context.ts';
import { failure } from '../exit-code.ts';
import { openEventWatch } from './event-watch.ts';
import { createSensor, type Sensor } from './sensor.ts';
import { cast, type Fleet, hubs } from './stage.ts';

/** Makes the sensors of the cast from the files that `muster pki` wrote, and watches what their hubs store. */
export async function openFleet(context: CommandContext): Promise<Fleet & { close(): Promise<void> }> {
  const { endpoints, ca } = await readRunningService(context);
  const events = await openEventWatch(
    hubs.map(({ name }) => name),
    context,
  );
  const sensors = await Promise.all(cast.map(({ id }) => readSensor(id)));
  return {
    sensors,
    events,
    sensor: (id) => {
      const found = sensors.find((sensor) => sensor.id === id);
      if (found === undefined) throw failure(`There is no ${id} in the tour.`);
      return found;
    },
    close: async () => {
      events.close();
      await Promise.all(sensors.map((sensor) => sensor.leave()));
    },
  };

  async function readSensor(id: string): Promise<Sensor> {
    const [certificate, key] = await Promise.all([readFile(`pki/${id}.chain.pem`, 'utf8'), readFile(`pki/${id}.key.pem`, 'utf8')]);
    return createSensor({ credentials: { id, certificate, key }, endpoints, authorities: [ca] });
  }
}
