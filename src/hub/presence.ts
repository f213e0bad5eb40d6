import { neverTimestamp, renderTimestamp } from '../contracts/timestamp.ts';
import type { Instant } from '../kernel/clock.ts';
import { deviceQueue } from './messaging/queues.ts';
import type { DeviceRow, HubStorage, Seen, SessionBus } from './ports.ts';

/** Where a device is and when it was last seen, in wire words. */
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
  { bus, read }: { readonly bus: SessionBus; readonly read: Pick<HubStorage['read'], 'queues' | 'presence'> },
  hub: string,
  devices: readonly DeviceRow[],
): Promise<(device: DeviceRow) => DeviceState> {
  const paths = devices.map(({ deviceId }) => deviceId);
  const [counts, stored] = await Promise.all([
    read.queues.counts(
      hub,
      paths.map((path) => deviceQueue(hub, path).name),
    ),
    read.presence.find(hub, paths),
  ]);
  return (device) => ({
    ...presenceOf(bus, device, stored.get(device.deviceId)),
    cloudToDeviceMessageCount: counts.get(deviceQueue(hub, device.deviceId).name) ?? 0,
  });
}

/**
 * Only committed sessions count; HTTPS requests are activity, not a connection (chapter 5). The bus knows what happened since
 * the service started, and is right; what was stored is of before.
 */
function presenceOf(bus: SessionBus, device: DeviceRow, stored: Seen | undefined): Presence {
  const seen = { ...stored, ...bus.lastSeen(device.hub, device.deviceId) };
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
