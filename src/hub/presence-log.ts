import { limits } from '../contracts/limits.ts';
import { type Clock, type Milliseconds, milliseconds, seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createRounds, type Rounds } from '../kernel/rounds.ts';
import type { HubStorage, PresenceRow, SessionBus } from './ports.ts';
import type { HubRole } from './service.ts';

interface PresenceLogDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Writes behind the bus when identities were seen, so that it is known after a restart. What is asked meanwhile, the bus knows. */
export interface PresenceLog {
  /** Says of the connections that an earlier run left that they have ended, unless others run already, and begins to write. Open no door before. */
  start(role: HubRole): Promise<void>;
  /** Writes what is left. Close the doors first: those who are connected leave with them. */
  close(): Promise<void>;
}

/**
 * One write per second for everybody who came or went, however often, and at most one a minute for an identity that is only
 * active: messages cost no write of their own, and a crash loses a minute of activity at most.
 */
export function createPresenceLog({ storage, bus, clock, log }: PresenceLogDeps): PresenceLog {
  /** Taken from the bus and not stored yet, by identity; never more than one batch. */
  const unwritten = new Map<string, PresenceRow>();
  let rounds: Rounds | undefined;

  async function writeAll(activeEvery: Milliseconds): Promise<void> {
    let written: number;
    do {
      const room = limits.presenceBatch - unwritten.size;
      for (const row of bus.takePresence({ limit: room, activeEvery })) unwritten.set(keyOf(row), row);
      const rows = [...unwritten.values()];
      if (rows.length > 0) await storage.write(({ presence }) => presence.put(rows));
      unwritten.clear();
      written = rows.length;
    } while (written >= limits.presenceBatch);
  }

  const report = (error: unknown): void => log.error('hub.presence.not-written', { error });
  return {
    async start(role) {
      if (rounds !== undefined) return;
      const ended = role === 'alone' ? await storage.write(({ presence }) => presence.endConnections(clock.now())) : 0;
      if (ended > 0) log.info('hub.presence.connections-ended', { identities: ended });
      rounds = createRounds({
        clock,
        interval: seconds(limits.presenceSeconds),
        round: () => writeAll(seconds(limits.activitySeconds)),
        onFailure: report,
      });
    },
    async close() {
      if (rounds === undefined) return;
      await rounds.close();
      // Nobody is to be kept from closing what comes after this.
      await writeAll(milliseconds(0)).catch(report);
    },
  };
}

/** Hubs compare without case. */
function keyOf({ hub, deviceId }: PresenceRow): string {
  return JSON.stringify([hub.toLowerCase(), deviceId]);
}
