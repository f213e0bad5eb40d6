import { type Clock, type Milliseconds, seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import type { CutReason, DeviceRow, HubTransaction, SessionBus } from './ports.ts';

/** How long a writer waits for sessions to close. They are refused by the committed row in any case. */
const patience: Milliseconds = seconds(5);

export interface CutDeps {
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A device whose sessions are to end. */
export type CutTarget = Pick<DeviceRow, 'hub' | 'deviceId'>;

/**
 * Cuts the sessions of a device as soon as the transaction is durable. Returns how to wait for their end: at most
 * five seconds, never throws. Call it after the write resolved; nothing needs to wait.
 */
export function cutAfterCommit(
  deps: CutDeps,
  transaction: HubTransaction,
  cut: CutTarget & { readonly reason: CutReason },
): () => Promise<void> {
  let ended: Promise<void> = Promise.resolve();
  transaction.afterCommit(() => {
    ended = cutInTime(deps, cut);
  });
  return () => ended;
}

async function cutInTime(deps: CutDeps, cut: CutTarget & { readonly reason: CutReason }): Promise<void> {
  const { hub, deviceId, reason } = cut;
  const inTime = await atMost(patience, cutAndReport(deps, cut), deps.clock);
  if (!inTime) deps.log.warn('device.cut.slow', { hub, deviceId, reason, waitedMilliseconds: patience });
}

/** The time to revoke is measured here, in one place: from the commit to the last closed session. */
async function cutAndReport({ bus, log }: CutDeps, { hub, deviceId, reason }: CutTarget & { readonly reason: CutReason }): Promise<void> {
  try {
    const { sessions, elapsedMilliseconds } = await bus.cut(hub, deviceId, reason);
    log.info('device.cut', { hub, deviceId, reason, sessions, elapsedMilliseconds, outcome: 'closed' });
  } catch (error) {
    log.error('device.cut', { hub, deviceId, reason, outcome: 'failed', error });
  }
}

function atMost(span: Milliseconds, work: Promise<void>, clock: Clock): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(span, () => resolve(false));
    void work.then(() => resolve(true), reject).finally(cancel);
  });
}
