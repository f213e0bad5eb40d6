import { type Clock, type Milliseconds, seconds } from '../kernel/clock.ts';
import type { LogFields, Logger } from '../kernel/logger.ts';
import type { CutReason, CutResult, DeviceRow, HubTransaction, SessionBus } from './ports.ts';
import { acceptedStamps, busKeys, connectingStamps } from './stamps.ts';

/** How long a writer waits for sessions to close. They are refused by the committed row in any case. */
const patience: Milliseconds = seconds(5);

export interface CutDeps {
  readonly bus: SessionBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A device whose sessions are to end. */
export type CutTarget = Pick<DeviceRow, 'hub' | 'deviceId'>;

/** How to wait for the end of what was cut; `undefined` when it did not come in time, or failed. */
export type CutEnd = () => Promise<CutResult | undefined>;

/**
 * Cuts the sessions of a device as soon as the transaction is durable. Returns how to wait for their end: at most
 * five seconds, never throws. Call it after the write resolved; nothing needs to wait.
 */
export function cutAfterCommit(
  deps: CutDeps,
  transaction: HubTransaction,
  cut: CutTarget & {
    readonly reason: CutReason;
    /** Sessions that joined with one of these keys stay. */ readonly except?: readonly string[];
  },
): CutEnd {
  const { hub, deviceId, reason, except } = cut;
  const cause = except === undefined ? reason : { reason, except };
  return afterCommit(deps, transaction, { fields: { hub, deviceId, reason }, act: () => deps.bus.cut(hub, deviceId, cause) });
}

/** Which sessions of a device go on when its credentials change: those whose own is still accepted, and those of policies. */
export async function holdingKeys({ hubs }: Pick<HubTransaction, 'hubs'>, device: DeviceRow): Promise<readonly string[]> {
  return busKeys([...acceptedStamps(device), ...connectingStamps(device.hub, await hubs.policies(device.hub))]);
}

/** The same for every session, of whatever device or service, that authenticated with what one of the keys names. */
export function cutCoveredAfterCommit(
  deps: CutDeps,
  transaction: HubTransaction,
  { keys, reason }: { readonly keys: readonly string[]; readonly reason: CutReason },
): CutEnd {
  return afterCommit(deps, transaction, { fields: { keys: keys.length, reason }, act: () => deps.bus.cutCovered(keys, reason) });
}

interface Cut {
  readonly fields: LogFields;
  readonly act: () => Promise<CutResult>;
}

function afterCommit(deps: CutDeps, transaction: HubTransaction, cut: Cut): CutEnd {
  let ended: Promise<CutResult | undefined> = Promise.resolve(undefined);
  transaction.afterCommit(() => {
    ended = cutInTime(deps, cut);
  });
  return () => ended;
}

async function cutInTime(deps: CutDeps, cut: Cut): Promise<CutResult | undefined> {
  const outcome = await atMost(patience, cutAndReport(deps.log, cut), deps.clock);
  if (outcome === 'late') deps.log.warn('device.cut.slow', { ...cut.fields, waitedMilliseconds: patience });
  return outcome === 'late' ? undefined : outcome;
}

/** The time to revoke is measured here, in one place: from the commit to the last closed session. */
async function cutAndReport(log: Logger, { fields, act }: Cut): Promise<CutResult | undefined> {
  try {
    const result = await act();
    const { sessions, elapsedMilliseconds } = result;
    log.info('device.cut', { ...fields, sessions, elapsedMilliseconds, outcome: 'closed' });
    return result;
  } catch (error) {
    log.error('device.cut', { ...fields, outcome: 'failed', error });
    return undefined;
  }
}

function atMost<T>(span: Milliseconds, work: Promise<T>, clock: Clock): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(span, () => resolve('late'));
    void work.then(resolve, reject).finally(cancel);
  });
}
