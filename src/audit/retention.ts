import { type Clock, hours, instant } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { createRounds, type Rounds } from '../kernel/rounds.ts';
import type { AuditTrail } from './trail.ts';

/** Removes entries of the audit trail that are older than they are to be kept, once now and then every day. */
export function openAuditRetention(deps: {
  readonly audit: Pick<AuditTrail, 'prune'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retentionDays: number;
}): Rounds {
  const { audit, clock, log, retentionDays } = deps;
  const round = async (): Promise<void> => {
    const entries = await audit.prune(instant(clock.now() - hours(24 * retentionDays)));
    if (entries > 0) log.info('audit.tidied', { entries });
  };
  const rounds = createRounds({ clock, interval: hours(24), round, onFailure: (error) => log.error('audit.tidy-failed', { error }) });
  void rounds.now();
  return rounds;
}
