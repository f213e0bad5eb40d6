import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import type { JsonObject } from '../../kernel/json.ts';
import { readEventStream } from '../client/event-stream.ts';
import { openMusterApi } from '../client/muster-api.ts';
import { parseMonitored } from '../commands/iot-hub/monitored-message.ts';
import { hubPath } from '../commands/resource-path.ts';
import type { CommandContext } from '../context.ts';

/** Reads what the hubs stored, as `muster iot hub monitor-events` does, and counts it. */
export interface EventWatch {
  /** How often each number of a device was stored. */
  stored(deviceId: string): ReadonlyMap<number, number>;
  /** Resolves when all of these numbers were seen; after a few seconds it resolves all the same. Throws what broke a stream. */
  caughtUp(deviceId: string, numbers: readonly number[]): Promise<void>;
  close(): void;
}

const patienceMilliseconds = 5_000;
const lookMilliseconds = 20;

/** Follows every message of these hubs, from the first one on. */
export async function openEventWatch(hubNames: readonly string[], context: CommandContext): Promise<EventWatch> {
  const api = await openMusterApi(context);
  const counts = new Map<string, Map<number, number>>();
  const streams: IncomingMessage[] = [];
  const failures: unknown[] = [];
  let isClosed = false;
  for (const name of hubNames) {
    const stream = await api.follow(`${hubPath(name, api.service)}/events?after=0`);
    stream.socket.setTimeout(0);
    streams.push(stream);
    collect(stream, counts).catch((error: unknown) => {
      // Closing breaks it, too.
      if (!isClosed) failures.push(error);
    });
  }
  const stored = (deviceId: string): ReadonlyMap<number, number> => counts.get(deviceId) ?? new Map();
  return {
    stored,
    caughtUp: async (deviceId, numbers) => {
      const deadline = performance.now() + patienceMilliseconds;
      while (performance.now() < deadline && !numbers.every((number) => stored(deviceId).has(number))) await delay(lookMilliseconds);
      if (failures.length > 0) throw new AggregateError(failures, 'The stored messages could not be read to their end.');
    },
    close: () => {
      isClosed = true;
      for (const stream of streams) stream.destroy();
    },
  };
}

async function collect(stream: IncomingMessage, counts: Map<string, Map<number, number>>): Promise<void> {
  for await (const data of readEventStream(stream)) {
    const { deviceId, body } = parseMonitored(data);
    const { number } = JSON.parse(body.toString('utf8')) as JsonObject;
    const ofDevice = counts.get(deviceId) ?? new Map<number, number>();
    counts.set(deviceId, ofDevice.set(Number(number), (ofDevice.get(Number(number)) ?? 0) + 1));
  }
}
