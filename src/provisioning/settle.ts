import { limits } from '../contracts/limits.ts';
import type { Instant } from '../kernel/clock.ts';
import { errorTable } from '../kernel/error-table.ts';
import type { Ids } from '../kernel/ids.ts';
import type { ServiceError } from '../kernel/service-error.ts';
import type { Allocation, AllocationCall } from './allocation/allocation.ts';
import type { Regions } from './allocation/regions.ts';
import { type WebhookConversation, type WebhookExchange, webhookOrigin } from './allocation/webhook.ts';
import { type AdmittedDevice, type Assignment, assignDevice, planAllocation } from './assign-device.ts';
import type { Admitted, Attempt, Disabled, Outcome, Refused } from './attempt.ts';
import type { DecisionLog } from './decision-log.ts';
import { hubCredential, recordedProof } from './hub-credential.ts';
import type { EnrollmentRow, OperationRow, ProvisioningTransaction, RegistrationRow } from './ports.ts';
import { homeOf, recordHead, resultOf } from './registration-record.ts';
import { storeRequest } from './stored-request.ts';
import type { Quotas } from './quotas.ts';
import type { TraceStep } from './trace.ts';

export interface SettleDependencies {
  readonly ids: Ids;
  readonly decisionLog: DecisionLog;
  readonly quotas: Quotas;
  readonly regions: Regions;
}

/** What is known of an admitted device besides the verdict. */
export interface AdmittedOutcome extends Outcome<Admitted> {
  /** What became of it, when no hub is to be asked. */
  readonly assignment?: Assignment;
  /** The operation that began earlier, and is to end. */
  readonly operation?: OperationRow;
  /** What the webhook said. */
  readonly conversation?: WebhookConversation;
}

export interface Admission {
  readonly operationId: string;
  /** The origin of the webhook that has to be asked before anything is assigned. */
  readonly waitsFor?: string;
}

/** Writes what a verdict comes to, within one transaction. */
export interface Settlement {
  /** The record says `disabled`, if it was the device itself that asked. Returns its id as it is spelled there. */
  disabled(
    transaction: ProvisioningTransaction,
    attempt: Attempt,
    outcome: Outcome<Disabled> & Pick<AdmittedOutcome, 'operation'>,
  ): Promise<string>;
  /**
   * Record, operation, identity, twin and reasons become durable together, or none of them. When a webhook has to be asked
   * first, the record says `assigning` and the operation keeps what is needed to go on. Throws `HubRefusal`.
   */
  admitted(transaction: ProvisioningTransaction, attempt: Attempt, outcome: AdmittedOutcome): Promise<Admission>;
  /** Ends an operation whose device would not be let in any more: its record says `failed`. */
  refused(
    transaction: ProvisioningTransaction,
    attempt: Attempt,
    outcome: Outcome<Refused> & { readonly operation: OperationRow },
  ): Promise<void>;
  /** Ends an operation that came to nothing through no fault of its device: its record says `failed`, with the code of `error`. */
  failed(
    transaction: ProvisioningTransaction,
    operation: OperationRow,
    failure: { readonly error: ServiceError; readonly at: Instant },
  ): Promise<void>;
  /** Where an admitted device would go, or whom to ask about it. Reads only. */
  plan(stores: PlanStores, attempt: Attempt, outcome: AdmittedOutcome): Promise<Plan>;
}

type PlanStores = Pick<ProvisioningTransaction, 'instances' | 'registrations'>;

interface Plan {
  readonly device: AdmittedDevice;
  readonly allocation: Allocation | AllocationCall;
}

export function createSettlement(deps: SettleDependencies): Settlement {
  return {
    plan: (stores, attempt, outcome) => planFor(deps, stores, { attempt, outcome }),
    disabled: (transaction, attempt, outcome) => settleDisabled(deps, transaction, { attempt, outcome }),
    refused: (transaction, attempt, outcome) => settleRefused(deps, transaction, { attempt, outcome }),
    failed: (transaction, operation, failure) => settleFailed(deps, transaction, { operation, ...failure }),
    async admitted(transaction, attempt, outcome) {
      const { device, allocation } = await planFor(deps, transaction, { attempt, outcome });
      await keepProvenRoot(transaction, outcome, device);
      if (outcome.assignment !== undefined || !('ask' in allocation)) {
        return await settleAdmitted(deps, transaction, { attempt, outcome, device, allocation });
      }
      const waitsFor = webhookOrigin(allocation.ask.webhookUrl);
      if (outcome.operation !== undefined) return { operationId: outcome.operation.operationId, waitsFor };
      return { ...(await wait(deps, transaction, { attempt, outcome, device })), waitsFor };
    },
  };
}

/** A device that has no record yet will take one more. */
async function takeRecord(
  { quotas }: SettleDependencies,
  { registrations }: Pick<ProvisioningTransaction, 'registrations'>,
  { instance, previous }: { readonly instance: string; readonly previous: RegistrationRow | undefined },
): Promise<void> {
  if (previous === undefined) await quotas.take('registrations', instance, () => registrations.count(instance));
}

interface Given<T> {
  readonly attempt: Attempt;
  readonly outcome: T;
}

async function planFor({ regions }: SettleDependencies, stores: PlanStores, { attempt, outcome }: Given<AdmittedOutcome>): Promise<Plan> {
  const previous = await stores.registrations.get(attempt.instance.name, attempt.request.registrationId);
  const device = admittedDevice(attempt, outcome, previous);
  return { device, allocation: await planAllocation(stores, device, regions) };
}

async function settleDisabled(
  deps: SettleDependencies,
  transaction: ProvisioningTransaction,
  { attempt, outcome }: Given<Parameters<Settlement['disabled']>[2]>,
): Promise<string> {
  const { ids, decisionLog } = deps;
  const { registrations } = transaction;
  const { verdict, at, leafSha256, operation } = outcome;
  const previous = await registrations.get(attempt.instance.name, attempt.request.registrationId);
  const entry = verdict.entry ?? enrolledBy(previous);
  const registrationId = previous?.registrationId ?? attempt.request.registrationId;
  // A block may decide about a device that never registered: then there is no record to keep.
  if (verdict.authenticated && entry !== undefined) {
    // An operation that goes on took its place when it began.
    if (operation === undefined) await takeRecord(deps, { registrations }, { instance: attempt.instance.name, previous });
    const leaf = leafSha256 ?? previous?.leafSha256;
    await registrations.put({
      ...recordHead({ attempt, entry, at, previous }),
      ...homeOf(previous),
      etag: ids.etag(),
      status: 'disabled',
      ...(leaf === undefined ? {} : { leafSha256: leaf }),
    });
  }
  if (operation !== undefined) await registrations.putOperation(ended(operation));
  await decisionLog.record(transaction, attempt, {
    verdict,
    at,
    ...(operation === undefined ? {} : { operationId: operation.operationId }),
  });
  return registrationId;
}

async function settleAdmitted(
  deps: SettleDependencies,
  transaction: ProvisioningTransaction,
  { attempt, outcome, device, allocation }: Given<AdmittedOutcome> & Plan,
): Promise<Admission> {
  const { ids, decisionLog } = deps;
  const { verdict, at } = outcome;
  const { registrations, hubs } = transaction;
  const taking = { instance: attempt.instance.name, previous: device.previous };
  if (outcome.operation === undefined) await takeRecord(deps, { registrations }, taking);
  const assignment = outcome.assignment ?? (await assign(hubs, device, allocation));
  const operation = outcome.operation ?? begin(ids, attempt, { at, device });
  await registrations.putOperation(ended(operation));
  const head = recordHead({ attempt, entry: verdict.entry, at, previous: device.previous });
  await registrations.put({ ...head, etag: ids.etag(), ...recordedProof(verdict.proof, ids), ...resultOf(assignment, device) });
  await keepPresented(transaction, outcome, device);
  // A registration that failed has let nobody in, so it does not use the readmission up.
  if (assignment.ok) for (const block of verdict.readmitting) await transaction.blocks.useReadmission(block.id, at);
  const exchange = 'ask' in allocation ? undefined : allocation.exchange;
  const { operationId } = operation;
  await decisionLog.record(transaction, attempt, { verdict, at, steps: [allocationStep(assignment, exchange)], operationId });
  return { operationId };
}

function enrolledBy(previous: RegistrationRow | undefined): Pick<EnrollmentRow, 'kind' | 'id'> | undefined {
  return previous && { kind: previous.enrollmentKind, id: previous.enrollmentId };
}

/**
 * The leaf with what was sent along, and nothing that was found here: a device that sends its leaf alone depends on what is
 * uploaded, and its next decision can be foretold only from what it really shows. Written when that is something else, so
 * that coming again costs a look.
 */
async function keepPresented(
  { presented }: Pick<ProvisioningTransaction, 'presented'>,
  { verdict: { proof }, leafSha256, sent = [] }: Outcome<Admitted>,
  { instance, registrationId }: AdmittedDevice,
): Promise<void> {
  const leaf = proof.type === 'x509' ? proof.path[0] : undefined;
  if (leaf === undefined || leafSha256 === undefined) return;
  const certificates = withinBounds([leaf, ...sent].map(({ der }) => der));
  const kept = await presented.get(instance.name, registrationId);
  if (kept !== undefined && isSameChain(kept, certificates)) return;
  await presented.put(instance.name, registrationId, { leafSha256, publicKeySha256: leaf.publicKeySha256, certificates });
}

/** Chains are a few kilobytes; what else a device chooses to send along must not fill the disk. */
function withinBounds(certificates: readonly Uint8Array[]): readonly Uint8Array[] {
  let left: number = limits.presentedBytes;
  return certificates.filter((der, at) => {
    left -= der.length;
    return at === 0 || left >= 0;
  });
}

function isSameChain(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((der, at) => Buffer.compare(der, b[at] ?? new Uint8Array()) === 0);
}

/** Others may ask for challenges in a device's name, with roots of their own; what it has proven once, they cannot push out. */
async function keepProvenRoot(
  { tpm }: Pick<ProvisioningTransaction, 'tpm'>,
  { verdict: { proof }, at }: Outcome<Admitted>,
  { instance, registrationId }: AdmittedDevice,
): Promise<void> {
  if (proof.type !== 'tpm') return;
  const { bytes: storageRootKey } = proof.identity.storageRootKey;
  await tpm.proveStorageRootKey({ instance: instance.name, registrationId, storageRootKey, at });
}

/** A device that asks again while its webhook is being asked gets the operation that is under way. */
async function wait(
  deps: SettleDependencies,
  transaction: ProvisioningTransaction,
  { attempt, outcome, device }: Given<AdmittedOutcome> & Pick<Plan, 'device'>,
): Promise<Admission> {
  const { ids, decisionLog } = deps;
  const { registrations } = transaction;
  const { verdict, at } = outcome;
  const running = await registrations.runningOperation(attempt.instance.name, device.registrationId);
  if (running !== undefined) {
    await decisionLog.record(transaction, attempt, { verdict, at, steps: [joinStep(running.operationId)] });
    return { operationId: running.operationId };
  }
  await takeRecord(deps, { registrations }, { instance: attempt.instance.name, previous: device.previous });
  const operation = begin(ids, attempt, { at, device });
  const { operationId } = operation;
  await registrations.putOperation({ ...operation, trackingId: attempt.trackingId, request: storeRequest(attempt) });
  const head = recordHead({ attempt, entry: verdict.entry, at, previous: device.previous });
  await registrations.put({
    ...head,
    ...homeOf(device.previous),
    etag: ids.etag(),
    ...recordedProof(verdict.proof, ids),
    status: 'assigning',
  });
  await decisionLog.record(transaction, attempt, { verdict, at, steps: [waitStep], operationId });
  return { operationId };
}

async function settleRefused(
  { ids, decisionLog }: SettleDependencies,
  transaction: ProvisioningTransaction,
  { attempt, outcome }: Given<Parameters<Settlement['refused']>[2]>,
): Promise<void> {
  const { registrations } = transaction;
  const { verdict, at, operation } = outcome;
  const failure = { errorCode: errorTable[verdict.error].code, errorMessage: verdict.message };
  await endFailed(registrations, operation, { etag: ids.etag(), ...failure, updatedAt: at });
  await decisionLog.record(transaction, attempt, { verdict, at, operationId: operation.operationId });
}

async function settleFailed(
  { ids, decisionLog }: SettleDependencies,
  { registrations, decisions }: ProvisioningTransaction,
  { operation, error, at }: { readonly operation: OperationRow; readonly error: ServiceError; readonly at: Instant },
): Promise<void> {
  const { code } = error.row;
  await endFailed(registrations, operation, { etag: ids.etag(), errorCode: code, errorMessage: error.message, updatedAt: at });
  const step: TraceStep = { subject: 'allocation', outcome: 'decided', reason: String(code), sentence: error.message };
  await decisionLog.amend(decisions, operation.operationId, { at, step });
}

/** A record that was deleted meanwhile, or that a later registration has settled, says nothing about this one. */
async function endFailed(
  registrations: ProvisioningTransaction['registrations'],
  operation: OperationRow,
  failure: Required<Pick<RegistrationRow, 'etag' | 'errorCode' | 'errorMessage' | 'updatedAt'>>,
): Promise<void> {
  const previous = await registrations.get(operation.instance, operation.registrationId);
  await registrations.putOperation(ended(operation));
  if (previous?.status === 'assigning') await registrations.put({ ...previous, ...failure, status: 'failed' });
}

function begin(
  ids: Ids,
  { instance }: Attempt,
  { at, device }: { readonly at: Outcome['at']; readonly device: AdmittedDevice },
): OperationRow {
  return { instance: instance.name, operationId: ids.operationId(), registrationId: device.registrationId, createdAt: at };
}

function admittedDevice(attempt: Attempt, outcome: AdmittedOutcome, previous: RegistrationRow | undefined): AdmittedDevice {
  const { instance, request } = attempt;
  const { conversation, verdict } = outcome;
  return {
    instance,
    entry: verdict.entry,
    registrationId: previous?.registrationId ?? request.registrationId,
    credential: hubCredential(verdict.proof),
    previous,
    remoteAddress: request.peer.remoteAddress,
    ...(request.apiVersion === undefined ? {} : { apiVersion: request.apiVersion }),
    ...(conversation === undefined ? {} : { conversation }),
  };
}

function assign(
  hubs: ProvisioningTransaction['hubs'],
  device: AdmittedDevice,
  allocation: Allocation | AllocationCall,
): Promise<Assignment> {
  if ('ask' in allocation) throw new Error('a device cannot be assigned before its webhook was asked');
  return assignDevice(hubs, device, allocation);
}

/** Without the credentials that it kept until now. */
function ended({ instance, operationId, registrationId, createdAt }: OperationRow): OperationRow {
  return { instance, operationId, registrationId, createdAt, outcome: 'done' };
}

const waitStep: TraceStep = {
  subject: 'allocation',
  outcome: 'passed',
  reason: 'webhook-asked',
  sentence: 'The webhook of the enrollment is being asked.',
};

function joinStep(operationId: string): TraceStep {
  const sentence = `The webhook is being asked about this device already, by operation ${operationId}, which has the reasons.`;
  return { subject: 'allocation', outcome: 'passed', reason: 'already-asked', sentence };
}

function allocationStep(assignment: Assignment, exchange: WebhookExchange | undefined): TraceStep {
  const reason = assignment.ok ? assignment.substatus : String(assignment.errorCode);
  return { subject: 'allocation', outcome: 'decided', reason, sentence: assignment.note, ...(exchange === undefined ? {} : { exchange }) };
}
