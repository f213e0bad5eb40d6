import { neverTimestamp, renderTimestamp } from '../contracts/timestamp.ts';
import type { Instant } from '../kernel/clock.ts';
import type { DeviceRow, SessionBus } from './ports.ts';

/** What the bus knows of a device, in wire words. Times are those since the service started. */
export interface Presence {
  readonly connectionState: 'Connected' | 'Disconnected';
  readonly connectionStateUpdatedTime: string;
  readonly lastActivityTime: string;
}

/** Only committed sessions count; HTTPS requests are activity, not a connection (chapter 5). */
export function presenceOf(bus: SessionBus, device: DeviceRow): Presence {
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
