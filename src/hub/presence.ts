import { neverTimestamp, renderTimestamp } from '../contracts/timestamp.ts';
import type { Instant } from '../kernel/clock.ts';
import { deviceQueue } from './messaging/queues.ts';
import type { DeviceRow, MessageQueueStore, SessionBus } from './ports.ts';

/** What the bus knows of a device, in wire words. Times are those since the service started. */
interface Presence {
  readonly connectionState: 'Connected' | 'Disconnected';
  readonly connectionStateUpdatedTime: string;
  readonly lastActivityTime: string;
}

/** What is true of a device beside its row: where it is, and how many messages wait for it. */
export interface DeviceState extends Presence {
  readonly cloudToDeviceMessageCount: number;
}

/** The state of each of these devices of one hub, by device id. */
export async function statesOf(
  { bus, queues }: { readonly bus: SessionBus; readonly queues: MessageQueueStore },
  hub: string,
  devices: readonly DeviceRow[],
): Promise<(device: DeviceRow) => DeviceState> {
  const counts = await queues.counts(
    hub,
    devices.map((device) => deviceQueue(hub, device.deviceId).name),
  );
  return (device) => ({
    ...presenceOf(bus, device),
    cloudToDeviceMessageCount: counts.get(deviceQueue(hub, device.deviceId).name) ?? 0,
  });
}

/** Only committed sessions count; HTTPS requests are activity, not a connection (chapter 5). */
function presenceOf(bus: SessionBus, device: DeviceRow): Presence {
  const seen = bus.lastSeen(device.hub, device.deviceId);
  return {
    connectionState: bus.isConnected(device.hub, device.deviceId) ? 'Connected' : 'Disconnected',
    connectionStateUpdatedTime: renderMoment(seen.connectionChangedAt),
    lastActivityTime: renderMoment(seen.activeAt),
  };
}

/** An instant as Azure writes it; the .NET default date when it never happened. */
export function renderMoment(at: Instant | undefined): string {
  return at === undefined ? neverTimestamp : renderTimestamp(at);
}
