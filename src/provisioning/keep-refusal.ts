import type { Clock } from '../kernel/clock.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import type { DecisionLog } from './decision-log.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { TraceStep } from './trace.ts';

export interface RefusalDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly decisionLog: DecisionLog;
}

/** Every tracking id that a device gets resolves, also where admission had no say. */
export async function keepRefusal(
  { storage, decisionLog, clock }: RefusalDependencies,
  attempt: Parameters<DecisionLog['refused']>[1],
  [error, subject, reason, sentence]: readonly [ErrorName, TraceStep['subject'], string, string],
): Promise<void> {
  const step: TraceStep = { subject, outcome: 'decided', reason, sentence };
  await storage.write((transaction) => decisionLog.refused(transaction, attempt, { at: clock.now(), error, step }));
}
