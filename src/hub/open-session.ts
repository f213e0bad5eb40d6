import { type Cancel, type Clock, milliseconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { requireGranted, requireUnblocked } from './granted.ts';
import type { HubStorage, LiveSession, SessionBus } from './ports.ts';
import type { DeviceGrant, DevicePlane } from './service.ts';

interface OpenSessionDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Lets sessions onto the bus. Opening one that is open already renews its grant (AMQP clients put a new token); the
 * way to leave that the earlier opening gave then does nothing.
 */
export function createOpenSession(deps: OpenSessionDeps): DevicePlane['openSession'] {
  const { storage, bus, clock } = deps;
  /** The timer of each open session, which also tells the latest opening from earlier ones. */
  const timers = new WeakMap<LiveSession, Cancel>();
  return async (grant, session) => {
    const renews = timers.has(session);
    // First join, then look: whoever disables the identity in between finds the session on the bus and cuts it, and
    // whoever did so before is seen in the committed row. The other order leaves a gap between the two.
    const leave = bus.join(grant.hub, grant.deviceId, session, grant.keys);
    try {
      await requireGranted(storage.read.devices, grant, clock.now());
      await requireUnblocked(storage.read.blocks, grant, clock.now());
    } catch (error) {
      // A renewal that fails leaves the session with the grant it had.
      if (!renews) leave();
      throw error;
    }
    timers.get(session)?.();
    const stopTimer = endWithToken(deps, grant, session);
    timers.set(session, stopTimer);
    return () => {
      if (timers.get(session) !== stopTimer) return;
      timers.delete(session);
      stopTimer();
      leave();
    };
  };
}

/** Cuts the session when its token ends (chapter 2.5). */
function endWithToken({ clock, log }: OpenSessionDeps, grant: DeviceGrant, session: LiveSession): Cancel {
  const { expiresAt, hub, deviceId } = grant;
  if (expiresAt === undefined) return () => {};
  return clock.after(milliseconds(expiresAt - clock.now()), () => {
    session.cut('token-expired').catch((error: unknown) => {
      log.error('session.cut.failed', { hub, deviceId, reason: 'token-expired', error });
    });
  });
}
