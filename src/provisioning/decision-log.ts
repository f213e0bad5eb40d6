import type { Instant } from '../kernel/clock.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import type { LogFields, Logger } from '../kernel/logger.ts';
import type { Verdict } from './admission.ts';
import { type Attempt, type Outcome, peerFields } from './attempt.ts';
import type { DecisionStore } from './ports.ts';
import { addStep, renderTrace, type TraceStep } from './trace.ts';

export interface DecisionLog {
  /** Keeps the reasons of a decision, in the transaction that acts on it, and tells of it once in the log. */
  record(
    decisions: DecisionStore,
    attempt: Attempt,
    decision: Pick<Outcome, 'verdict' | 'at'> & { readonly steps?: readonly TraceStep[]; readonly operationId?: string },
  ): Promise<void>;
  /** Keeps the reason of a refusal that comes before or after admission. */
  refused(
    decisions: DecisionStore,
    attempt: Pick<Attempt, 'request' | 'trackingId'> & { readonly instance: string },
    refusal: PlainRefusal,
  ): Promise<void>;
  /** Adds to the reasons of an operation what it came to in the end. */
  amend(decisions: DecisionStore, operationId: string, ending: { readonly at: Instant; readonly step: TraceStep }): Promise<void>;
}

/** A refusal with one reason. */
export interface PlainRefusal {
  readonly at: Instant;
  readonly error: ErrorName;
  readonly step: TraceStep;
}

/** `onDecision` is called for every decision that was stored, so that housekeeping can keep their number bounded. */
export function createDecisionLog({ log, onDecision }: { readonly log: Logger; readonly onDecision: () => void }): DecisionLog {
  return {
    async refused(decisions, { request, trackingId, instance }, { at, error, step }) {
      const { registrationId, peer } = request;
      const trace = renderTrace('refuse', [step], error);
      await decisions.append({ trackingId, instance, registrationId, at, transport: peer.transport, verdict: 'refuse', trace });
      onDecision();
    },
    async amend(decisions, operationId, { at, step }) {
      const row = await decisions.get(operationId);
      // Pruned, after a flood of others.
      if (row === undefined) return;
      await decisions.append({ ...row, at, trace: addStep(row.trace, step) });
      const { registrationId, trackingId, verdict } = row;
      log.info('registration', { action: 'register', registrationId, verdict, detail: step.sentence, trackingId, operationId });
    },
    async record(decisions, attempt, { verdict, at, steps = [], operationId }) {
      const { request, instance, trackingId, action } = attempt;
      const { registrationId, peer } = request;
      const trace = renderTrace(verdict.kind, [...verdict.trace, ...steps], verdict.kind === 'refuse' ? verdict.error : undefined);
      const { transport } = peer;
      const operation = operationId === undefined ? {} : { operationId };
      const row = { trackingId, instance: instance.name, registrationId, at, transport, verdict: verdict.kind, trace, ...operation };
      await decisions.append(row);
      onDecision();
      const why = reasonOf(verdict);
      log.info('registration', { action, registrationId, verdict: verdict.kind, ...why, trackingId, ...operation, ...peerFields(request) });
    },
  };
}

/** What decided, for the log. */
function reasonOf(verdict: Verdict): LogFields {
  if (verdict.kind === 'refuse') return { detail: verdict.detail };
  if (verdict.entry !== undefined) return { enrollment: verdict.entry.id, enrollmentKind: verdict.entry.kind };
  return verdict.kind === 'disabled' && verdict.block !== undefined ? { block: verdict.block.id } : {};
}
