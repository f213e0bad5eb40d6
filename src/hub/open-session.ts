import { type Cancel, type Clock, milliseconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireGranted, requireUnblocked } from './granted.ts';
import type { HubStorage, LiveSession, SessionBus } from './ports.ts';
import type { DeviceGrant, DevicePlane } from './service.ts';
import { busKeys } from './stamps.ts';

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
  /** What each open session was let in by last, which also tells the latest opening from earlier ones. */
  const openings = new WeakMap<LiveSession, Opening>();
  const judge = async (grant: DeviceGrant): Promise<void> => {
    await requireGranted(storage.read, grant, clock.now());
    await requireUnblocked(storage.read.blocks, grant, clock.now());
  };
  return async (grant, session) => {
    const before = openings.get(session);
    // First join, then look: whoever disables the identity in between finds the session on the bus and cuts it, and
    // whoever did so before is seen in the committed row. The other order leaves a gap between the two.
    const leave = joinBus(bus, grant, session);
    try {
      await judge(grant);
    } catch (error) {
      if (before === undefined) leave();
      else await goOnAsBefore({ bus, judge, before, session });
      throw error;
    }
    openings.get(session)?.stopTimer();
    const opening = { grant, stopTimer: endWithProof(deps, grant, session) };
    openings.set(session, opening);
    return () => {
      if (openings.get(session) !== opening) return;
      openings.delete(session);
      opening.stopTimer();
      leave();
    };
  };
}

interface Opening {
  readonly grant: DeviceGrant;
  readonly stopTimer: Cancel;
}

function joinBus(bus: SessionBus, grant: DeviceGrant, session: LiveSession): () => void {
  return bus.join(grant.hub, grant.deviceId, session, [...(grant.keys ?? []), ...busKeys(grant.credentialStamps ?? [])]);
}

/**
 * A renewal that fails leaves the session with the grant it had, which is judged once more: while the bus knew the session by
 * the new one, it could not be cut for the old one.
 */
async function goOnAsBefore({
  bus,
  judge,
  before,
  session,
}: {
  readonly bus: SessionBus;
  readonly judge: (grant: DeviceGrant) => Promise<void>;
  readonly before: Opening;
  readonly session: LiveSession;
}): Promise<void> {
  joinBus(bus, before.grant, session);
  try {
    await judge(before.grant);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    await session.cut('credential-changed');
  }
}

/** Cuts the session when its token ends (chapter 2.5), or its certificate where that counts. */
function endWithProof({ clock, log }: OpenSessionDeps, grant: DeviceGrant, session: LiveSession): Cancel {
  const { expiresAt, hub, deviceId, method } = grant;
  const reason = method === 'x509' ? 'certificate-expired' : 'token-expired';
  if (expiresAt === undefined) return () => {};
  return clock.after(milliseconds(expiresAt - clock.now()), () => {
    session.cut(reason).catch((error: unknown) => {
      log.error('session.cut.failed', { hub, deviceId, reason, error });
    });
  });
}
