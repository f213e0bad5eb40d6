import type { Instant } from '../kernel/clock.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import type { LogFields, Logger } from '../kernel/logger.ts';
import type { Verdict } from './admission.ts';
import { type Attempt, type Outcome, peerFields } from './attempt.ts';
import type { RefusalStore, RefusingDeny } from '../refusals/ports.ts';
import type { DecisionStore, ProvisioningTransaction } from './ports.ts';
import { addStep, renderTrace, type TraceStep } from './trace.ts';

export interface DecisionLog {
  /** Keeps the reasons of a decision, in the transaction that acts on it, and tells of it once in the log. */
  record(
    transaction: DecisionTransaction,
    attempt: Attempt,
    decision: Pick<Outcome, 'verdict' | 'at'> & { readonly steps?: readonly TraceStep[]; readonly operationId?: string },
  ): Promise<void>;
  /** Keeps the reason of a refusal that comes before or after admission. */
  refused(
    transaction: DecisionTransaction,
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

/**
 * `onDecision` is called for every decision that was stored, so that housekeeping can keep their number bounded; `onRefusal`
 * after the commit of each refusal.
 */
export function createDecisionLog(deps: {
  readonly log: Logger;
  readonly onDecision: () => void;
  readonly onRefusal: () => void;
}): DecisionLog {
  const { log, onDecision } = deps;
  /** Whoever follows refusals is told once they are committed. */
  async function tell({ refusals, afterCommit }: DecisionTransaction, refusal: Parameters<RefusalStore['append']>[0]): Promise<void> {
    await refusals.append(refusal);
    afterCommit(deps.onRefusal);
  }

  return {
    async refused(transaction, { request, trackingId, instance }, { at, error, step }) {
      const { registrationId, peer } = request;
      const trace = renderTrace('refuse', [step], error);
      await transaction.decisions.append({ trackingId, instance, registrationId, at, transport: peer.transport, verdict: 'refuse', trace });
      const { reason, sentence } = step;
      await tell(transaction, { ...headOf(request, { trackingId, place: instance, at }), error, reason, sentence });
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
    async record(transaction, attempt, { verdict, at, steps = [], operationId }) {
      const { request, instance, trackingId, action } = attempt;
      const { registrationId, peer } = request;
      const trace = renderTrace(verdict.kind, [...verdict.trace, ...steps], verdict.kind === 'refuse' ? verdict.error : undefined);
      const { transport } = peer;
      const operation = operationId === undefined ? {} : { operationId };
      const row = { trackingId, instance: instance.name, registrationId, at, transport, verdict: verdict.kind, trace, ...operation };
      await transaction.decisions.append(row);
      if (verdict.kind === 'refuse' || verdict.kind === 'disabled') {
        const error = verdict.kind === 'refuse' ? verdict.error : 'disabled';
        const head = headOf(request, { trackingId, place: instance.name, at });
        const deny = denyOf(verdict);
        await tell(transaction, { ...head, error, ...decidedBy(verdict), ...(deny === undefined ? {} : { deny }) });
      }
      onDecision();
      const why = reasonOf(verdict);
      log.info('registration', { action, registrationId, verdict: verdict.kind, ...why, trackingId, ...operation, ...peerFields(request) });
    },
  };
}

/** What of a decision has to be written together. */
export type DecisionTransaction = Pick<ProvisioningTransaction, 'decisions' | 'refusals' | 'afterCommit'>;

function headOf(
  { registrationId, peer }: Attempt['request'],
  { trackingId, place, at }: { readonly trackingId: string; readonly place: string; readonly at: Instant },
) {
  const { transport, remoteAddress: address } = peer;
  return { at, side: 'provisioning', place, deviceId: registrationId, transport, address, trackingId } as const;
}

/** A group shuts out many devices, and is none of one of them. */
export function denyOf(verdict: Verdict): RefusingDeny | undefined {
  if (verdict.kind !== 'disabled') return undefined;
  const { block, entry, authenticated: proven } = verdict;
  if (block !== undefined) return { kind: 'block', id: block.id, proven };
  return entry?.kind === 'individual' ? { kind: 'individual', id: entry.id, proven } : undefined;
}

/** The step that decided, of which every verdict that refuses has one. */
function decidedBy({ kind, trace }: Verdict): Pick<TraceStep, 'reason' | 'sentence'> {
  const step = trace.findLast(({ outcome }) => outcome === 'decided') ?? trace.at(-1);
  return step === undefined ? { reason: kind, sentence: '' } : { reason: step.reason, sentence: step.sentence };
}

/** What decided, for the log. */
function reasonOf(verdict: Verdict): LogFields {
  if (verdict.kind === 'refuse') return { detail: verdict.detail };
  if (verdict.entry !== undefined) return { enrollment: verdict.entry.id, enrollmentKind: verdict.entry.kind };
  return verdict.kind === 'disabled' && verdict.block !== undefined ? { block: verdict.block.id } : {};
}
