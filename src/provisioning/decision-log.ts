import type { Logger } from '../kernel/logger.ts';
import { type Attempt, type Outcome, peerFields } from './attempt.ts';
import type { DecisionStore } from './ports.ts';
import { renderTrace, type TraceStep } from './trace.ts';

export interface DecisionLog {
  /** Keeps the reasons of a decision, in the transaction that acts on it, and tells of it once in the log. */
  record(
    decisions: DecisionStore,
    attempt: Attempt,
    decision: Pick<Outcome, 'verdict' | 'at'> & { readonly steps?: readonly TraceStep[]; readonly operationId?: string },
  ): Promise<void>;
}

/** `onDecision` is called for every decision that was stored, so that housekeeping can keep their number bounded. */
export function createDecisionLog({ log, onDecision }: { readonly log: Logger; readonly onDecision: () => void }): DecisionLog {
  return {
    async record(decisions, attempt, { verdict, at, steps = [], operationId }) {
      const { request, instance, trackingId, action } = attempt;
      const { registrationId, peer } = request;
      const trace = renderTrace(verdict.kind, [...verdict.trace, ...steps]);
      const { transport } = peer;
      const operation = operationId === undefined ? {} : { operationId };
      const row = { trackingId, instance: instance.name, registrationId, at, transport, verdict: verdict.kind, trace, ...operation };
      await decisions.append(row);
      onDecision();
      const why =
        verdict.kind === 'refuse' ? { detail: verdict.detail } : { enrollment: verdict.entry.id, enrollmentKind: verdict.entry.kind };
      log.info('registration', { action, registrationId, verdict: verdict.kind, ...why, trackingId, ...operation, ...peerFields(request) });
    },
  };
}
