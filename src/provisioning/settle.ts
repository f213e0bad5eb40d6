import type { Ids } from '../kernel/ids.ts';
import { type AdmittedDevice, type Assignment, assignDevice } from './assign-device.ts';
import type { Admitted, Attempt, Disabled, Outcome } from './attempt.ts';
import type { DecisionLog } from './decision-log.ts';
import type { EnrollmentRow, ProvisioningTransaction, RegistrationRow } from './ports.ts';
import type { TraceStep } from './trace.ts';

export interface SettleDependencies {
  readonly ids: Ids;
  readonly decisionLog: DecisionLog;
}

/** Writes what a verdict comes to, within one transaction. */
export interface Settlement {
  /** The record says `disabled`, if it was the device itself that asked. Returns its id as it is spelled there. */
  disabled(transaction: ProvisioningTransaction, attempt: Attempt, outcome: Outcome<Disabled>): Promise<string>;
  /** Record, operation, identity, twin and reasons become durable together, or none of them. Returns the operation id. */
  admitted(
    transaction: ProvisioningTransaction,
    attempt: Attempt,
    outcome: Outcome<Admitted> & { /** What became of it, when no hub is to be asked. */ readonly assignment?: Assignment },
  ): Promise<string>;
}

export function createSettlement({ ids, decisionLog }: SettleDependencies): Settlement {
  return {
    async disabled(transaction, attempt, { verdict, at, leafSha256 }) {
      const { registrations, decisions } = transaction;
      const previous = await registrations.get(attempt.instance.name, attempt.request.registrationId);
      const head = recordHead({ attempt, entry: verdict.entry, at, previous });
      if (verdict.authenticated) {
        const leaf = leafSha256 ?? previous?.leafSha256;
        await registrations.put({
          ...head,
          ...homeOf(previous),
          etag: ids.etag(),
          status: 'disabled',
          ...(leaf === undefined ? {} : { leafSha256: leaf }),
        });
      }
      await decisionLog.record(decisions, attempt, { verdict, at });
      return head.registrationId;
    },

    async admitted(transaction, attempt, { verdict, at, leafSha256, assignment: given }) {
      if (leafSha256 === undefined) throw new Error('a device was admitted without a certificate');
      const { instance, request } = attempt;
      const { entry } = verdict;
      const { registrations, decisions } = transaction;
      const previous = await registrations.get(instance.name, request.registrationId);
      const head = recordHead({ attempt, entry, at, previous });
      const device: AdmittedDevice = { instance, entry, registrationId: head.registrationId, leafSha256, previous };
      const assignment = given ?? (await assignDevice(transaction, device));
      const operationId = ids.operationId();
      const operation = { instance: instance.name, operationId, registrationId: head.registrationId, createdAt: at };
      await registrations.putOperation({ ...operation, outcome: 'done' });
      await registrations.put({ ...head, etag: ids.etag(), leafSha256, ...result(assignment, previous) });
      await decisionLog.record(decisions, attempt, { verdict, at, steps: [allocationStep(assignment)] });
      return operationId;
    },
  };
}

interface RecordHead {
  readonly attempt: Attempt;
  readonly entry: EnrollmentRow;
  readonly at: Outcome['at'];
  readonly previous: RegistrationRow | undefined;
}

/** The spelling of the id and the time of creation are those of the first registration (chapter 7). */
function recordHead({ attempt, entry, at, previous }: RecordHead) {
  return {
    instance: attempt.instance.name,
    registrationId: previous?.registrationId ?? attempt.request.registrationId,
    enrollmentKind: entry.kind,
    enrollmentId: entry.id,
    createdAt: previous?.createdAt ?? at,
    updatedAt: at,
  };
}

function result(
  assignment: Assignment,
  previous: RegistrationRow | undefined,
): Pick<RegistrationRow, 'status' | 'substatus' | 'assignedHub' | 'deviceId' | 'errorCode' | 'errorMessage'> {
  if (!assignment.ok) {
    return { ...homeOf(previous), status: 'failed', errorCode: assignment.errorCode, errorMessage: assignment.errorMessage };
  }
  const { substatus, hubHostName, deviceId } = assignment;
  return { status: 'assigned', substatus, assignedHub: hubHostName, deviceId };
}

/** Where the device was: the next registration has to know what to move, to keep or to remove. */
function homeOf(previous: RegistrationRow | undefined): Pick<RegistrationRow, 'assignedHub' | 'deviceId'> {
  return {
    ...(previous?.assignedHub === undefined ? {} : { assignedHub: previous.assignedHub }),
    ...(previous?.deviceId === undefined ? {} : { deviceId: previous.deviceId }),
  };
}

function allocationStep(assignment: Assignment): TraceStep {
  const reason = assignment.ok ? assignment.substatus : String(assignment.errorCode);
  return { subject: 'allocation', outcome: 'decided', reason, sentence: assignment.note };
}
