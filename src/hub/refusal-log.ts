import { limits } from '../contracts/limits.ts';
import type { TransportName } from '../contracts/transport.ts';
import { type Clock, hours, instant } from '../kernel/clock.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { createTidying, type Tidying } from '../kernel/tidying.ts';
import type { RefusingDeny } from '../refusals/ports.ts';
import type { HubStorage } from './ports.ts';
import { type HubTraceStep, renderHubTrace } from './trace.ts';

/** A refusal with everything that explains it. */
export interface ExplainedRefusal {
  readonly hub: string;
  readonly deviceId: string;
  readonly transport: TransportName;
  /** Where it came from; empty when that is not known any more. */
  readonly address: string;
  readonly refusal: ServiceError;
  readonly trace: readonly HubTraceStep[];
  /** The block that covers the device, whatever refused it. */
  readonly deny?: RefusingDeny;
}

export interface RefusalLog {
  /** Keeps the reasons and returns the refusal with the tracking id under which they are found. */
  keep(refused: ExplainedRefusal): Promise<ServiceError>;
  /** Starts to forget what is old or too much. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Makes every tracking id on a hub's wire resolve. Bounded, so that strangers cannot fill the disk. */
export function createRefusalLog({
  storage,
  clock,
  ids,
  log,
  onRefusal,
}: {
  readonly storage: HubStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  /** Called after the commit of each refusal. */
  readonly onRefusal?: () => void;
}): RefusalLog {
  const tidy = () =>
    storage.write(async ({ hubDecisions, refusals }) => {
      const bounds = { before: instant(clock.now() - hours(24 * limits.decisionDays)), keep: limits.keptDecisions };
      return { decisions: await hubDecisions.prune(bounds), refusals: await refusals.prune(bounds) };
    });
  let tidying: Tidying | undefined;
  return {
    async keep({ hub, deviceId, transport, address, refusal, trace, deny }) {
      const trackingId = refusal.trackingId ?? ids.trackingId();
      const common = { trackingId, deviceId, at: clock.now(), transport, error: refusal.error };
      const { reason = '', sentence = '' } = trace.findLast(({ outcome }) => outcome === 'decided') ?? {};
      await storage.write(async (transaction) => {
        await transaction.hubDecisions.append({ ...common, hub, trace: renderHubTrace(trace) });
        const covered = deny === undefined ? {} : { deny };
        await transaction.refusals.append({ ...common, side: 'hub', place: hub, address, reason, sentence, ...covered });
        if (onRefusal !== undefined) transaction.afterCommit(onRefusal);
      });
      tidying?.onStored();
      const { detail, retryAfterSeconds } = refusal;
      return new ServiceError(refusal.error, refusal.message, {
        trackingId,
        ...(detail === undefined ? {} : { detail }),
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      });
    },
    async start() {
      tidying ??= createTidying({ name: 'hub.decisions', clock, log, rowsBetween: limits.decisionsBetweenPrunes, tidy });
      await tidying.start();
    },
    async close() {
      await tidying?.close();
    },
  };
}
