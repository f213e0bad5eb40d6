import { type Cause, deviceCause } from '../audit/actor.ts';
import { isSince, payloadsSince } from '../contracts/api-version.ts';
import type { DeviceRegistrationResult } from '../contracts/dps/enrollment.ts';
import type { DenyName } from '../contracts/fleet/tripwire.ts';
import { assertNever } from '../kernel/assert-never.ts';
import type { Clock } from '../kernel/clock.ts';
import type { ErrorName } from '../kernel/error-table.ts';
import type { Ids } from '../kernel/ids.ts';
import type { Json } from '../kernel/json.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { hubRefused, HubRefusal } from './assign-device.ts';
import type { Attempt, Refused } from './attempt.ts';
import { beginAttempt, findInstance, isSameId, type Opened, openAttempt, readBodyOf, refreshed, refuseScope } from './begin-attempt.ts';
import { type DecisionLog, denyOf } from './decision-log.ts';
import type { ProvenJudge } from './judge.ts';
import { keepRefusal } from './keep-refusal.ts';
import type { PendingAllocations } from './pending-allocations.ts';
import type { OperationRow, ProvisioningStorage, RegistrationRow } from './ports.ts';
import { renderDisabled, renderResult } from './render-registration.ts';
import type { DeviceRegistrations, DeviceRequest, RegisterRequest, RegistrationAnswer } from './service.ts';
import type { Admission, AdmittedOutcome, Settlement } from './settle.ts';
import type { Throttling } from './throttling.ts';

/**
 * Seconds until the poll. All SDKs honour 2 to 5: C# waits 2 when told less, and complains of it in its log; Java takes
 * anything else for 2; Python waits 2 after the first answer whatever it says, IoT Edge always 5. Only Node and C take 1. The
 * result is there already, so it is the least that all of them take.
 */
export const defaultPollAfterSeconds = 2;
/** After which a device may find room in the queue for webhooks. */
const busySeconds = 10;

export interface RegistrationDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly judge: ProvenJudge;
  readonly settlement: Settlement;
  readonly decisionLog: DecisionLog;
  readonly pending: Pick<PendingAllocations, 'start' | 'isFull'>;
  readonly throttling: Throttling;
  readonly pollAfterSeconds: number;
  readonly retryHint?: RetryHint;
}

/** Seconds that a device is to wait which a deny refuses. */
export type RetryHint = (registrationId: string, deny: DenyName) => Promise<number | undefined>;

/** A device that is shut out, as its record spells it. */
interface ShutOut {
  readonly registrationId: string;
  readonly deny: DenyName | undefined;
}

/** What a registration came to, decided and written in one transaction. */
type Settled =
  | { readonly kind: 'unknown-scope' }
  | { readonly kind: 'refused'; readonly verdict: Refused }
  | { readonly kind: 'throttled'; readonly refuse: () => Promise<never> }
  | ({ readonly kind: 'disabled' } & ShutOut)
  | ({ readonly kind: 'accepted'; readonly instance: string } & Admission);

/** The device API: asks admission, acts on its verdict, answers after the commit. */
export function createRegistrations(deps: RegistrationDependencies): DeviceRegistrations {
  const { registrations } = deps.storage.read;
  return {
    async register(request) {
      const { payload } = readBodyOf(request);
      const opened = { ...openAttempt(deps, withBody(request), 'register'), ...payloadOf(request, payload) };
      const settled = await settle(deps, opened);
      const { trackingId } = opened;
      if (settled.kind === 'unknown-scope') return refuseScope(deps, opened);
      if (settled.kind === 'refused') throw refusalOf(opened, settled.verdict);
      if (settled.kind === 'throttled') return settled.refuse();
      if (settled.kind === 'disabled') return { ...(await answerDisabled(deps, settled)), trackingId };
      const { instance, operationId, waitsFor } = settled;
      if (waitsFor !== undefined) deps.pending.start({ instance, operationId }, waitsFor);
      // 202 first, though the result may be ready: IoT Edge takes nothing else (1.3).
      return { pending: true, retryAfterSeconds: deps.pollAfterSeconds, body: { operationId, status: 'assigning' }, trackingId };
    },

    async operationStatus(request) {
      const attempt = await beginAttempt(deps, request, 'poll');
      const shutOut = await passOrShutOut(deps, attempt);
      if (shutOut !== undefined) return answerDisabled(deps, shutOut);
      await deps.throttling.poll(attempt);
      const operation = await registrations.getOperation(attempt.instance.name, request.operationId);
      const row = await registrations.get(attempt.instance.name, request.registrationId);
      if (operation !== undefined && isSameId(operation.registrationId, request.registrationId)) {
        // Ended, but a later one is under way: its result is the device's, too.
        if (operation.outcome === undefined || row?.status === 'assigning') return answerAssigning(operation, deps.pollAfterSeconds);
        if (row !== undefined) return answerOperation(operation, row, request.apiVersion);
      }
      const sentence = 'There is no such operation of this device, or it ended too long ago. Register again.';
      return await refuseRecord(deps, attempt, ['DpsOperationNotFound', 'Operation not found.', sentence]);
    },

    async lookup(request) {
      const attempt = await beginAttempt(deps, withBody(request), 'lookup');
      const shutOut = await passOrShutOut(deps, attempt);
      if (shutOut !== undefined) return renderDisabled(shutOut.registrationId);
      const row = await registrations.get(attempt.instance.name, request.registrationId);
      if (row !== undefined) return renderOutcome(row, request.apiVersion);
      const sentence = 'The device is enrolled, but has not registered yet.';
      return await refuseRecord(deps, attempt, ['DpsRecordNotFound', 'Registration not found.', sentence]);
    },
  };
}

/** Devices with a TPM may repeat its keys in the body, beside the token that was signed with what they opened. */
function withBody(request: RegisterRequest): RegisterRequest {
  const tpm = readBodyOf(request).tpm ?? request.credentials.tpm;
  const { sasToken } = request.credentials;
  return tpm === undefined || sasToken === undefined ? request : { ...request, credentials: { ...request.credentials, tpm } };
}

/** Versions before payloads have no such member, so what an old client sends under this name is not one. */
function payloadOf({ apiVersion }: DeviceRequest, payload: Json | undefined): Pick<Attempt, 'payload'> {
  return payload === undefined || (apiVersion !== undefined && !isSince(apiVersion, payloadsSince)) ? {} : { payload };
}

/**
 * Judged once, where nothing can change any more before what follows is written: an entry that was disabled a moment ago shuts
 * the device out. All that strangers make the store write is the reason.
 */
async function settle(deps: RegistrationDependencies, opened: Opened): Promise<Settled> {
  try {
    return await settleOnce(deps, opened);
  } catch (error) {
    if (!(error instanceof HubRefusal)) throw error;
    // What the transaction had done so far was undone; a second one keeps the failure, for the device to poll.
    return settleOnce(deps, opened, error);
  }
}

function settleOnce(deps: RegistrationDependencies, opened: Opened, refusal?: HubRefusal): Promise<Settled> {
  const { storage, judge, settlement, decisionLog, throttling } = deps;
  return storage.write(async (transaction) => {
    const instance = await findInstance(transaction, opened.request);
    if (instance === undefined) return { kind: 'unknown-scope' };
    const attempt = { ...opened, instance };
    const outcome = await judge(transaction, attempt);
    const { verdict, at } = outcome;
    if (verdict.kind === 'refuse') {
      await decisionLog.record(transaction, attempt, { verdict, at });
      return { kind: 'refused', verdict };
    }
    // Once for both transactions.
    const refuse = refusal === undefined ? throttling.drawRegistration(attempt) : undefined;
    if (refuse !== undefined) return { kind: 'throttled', refuse };
    switch (verdict.kind) {
      case 'disabled':
        return { kind: 'disabled', ...(await shutOut(settlement, transaction, attempt, { ...outcome, verdict })) };
      case 'admit': {
        const admission = await admit(deps, transaction, attempt, { ...outcome, verdict, ...assignmentOf(refusal) });
        return { kind: 'accepted', instance: instance.name, ...admission };
      }
      default:
        return assertNever(verdict);
    }
  }, causeOf(opened));
}

async function admit(
  { settlement, pending }: RegistrationDependencies,
  ...admitted: Parameters<Settlement['admitted']>
): Promise<Admission> {
  const admission = await settlement.admitted(...admitted);
  if (admission.waitsFor !== undefined && pending.isFull(admission.waitsFor)) throw tooManyWait();
  return admission;
}

function assignmentOf(refusal: HubRefusal | undefined): Pick<AdmittedOutcome, 'assignment'> {
  return refusal === undefined ? {} : { assignment: hubRefused(refusal) };
}

/** Whatever a registration writes, the device has asked for. */
function causeOf({ request }: Opened): Cause {
  return deviceCause(request.registrationId, request.peer);
}

async function shutOut(settlement: Settlement, ...settled: Parameters<Settlement['disabled']>): Promise<ShutOut> {
  const [, , { verdict }] = settled;
  return { registrationId: await settlement.disabled(...settled), deny: denyOf(verdict) };
}

/** For requests that change nothing: whom to answer `disabled`, kept as for a registration; `undefined` to go on. */
async function passOrShutOut(deps: RegistrationDependencies, attempt: Attempt): Promise<ShutOut | undefined> {
  const { storage, judge, settlement } = deps;
  const { verdict } = await judge(storage.read, attempt);
  if (verdict.kind === 'refuse') return refuse(deps, attempt, verdict);
  if (verdict.kind === 'admit') return undefined;
  const out = await storage.write(async (transaction) => {
    const current = await refreshed(transaction, attempt);
    const outcome = await judge(transaction, current);
    return outcome.verdict.kind === 'disabled'
      ? shutOut(settlement, transaction, current, { ...outcome, verdict: outcome.verdict })
      : undefined;
  }, causeOf(attempt));
  // Changed between the two: the committed state answers.
  return out ?? passOrShutOut(deps, await refreshed(storage.read, attempt));
}

async function refuse({ storage, decisionLog, clock }: RegistrationDependencies, attempt: Attempt, verdict: Refused): Promise<never> {
  await storage.write((transaction) => decisionLog.record(transaction, attempt, { verdict, at: clock.now() }));
  throw refusalOf(attempt, verdict);
}

function refusalOf({ trackingId }: Opened, { error, message, detail }: Refused): ServiceError {
  return new ServiceError(error, message, { detail, trackingId });
}

async function refuseRecord(
  deps: RegistrationDependencies,
  { request, trackingId, instance }: Attempt,
  [error, message, detail]: readonly [ErrorName, string, string],
): Promise<never> {
  await keepRefusal(deps, { request, trackingId, instance: instance.name }, [error, 'record', 'not-found', detail]);
  throw new ServiceError(error, message, { detail, trackingId });
}

async function answerDisabled({ retryHint }: RegistrationDependencies, { registrationId, deny }: ShutOut): Promise<RegistrationAnswer> {
  const retryAfterSeconds = deny === undefined ? undefined : await retryHint?.(registrationId, deny);
  // An empty operation id is what Azure sends; Java and C# need it, and the state below, to be there.
  const body = { operationId: '', status: 'disabled', registrationState: renderDisabled(registrationId) } as const;
  return { pending: false, body, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

function answerAssigning({ operationId, registrationId }: OperationRow, retryAfterSeconds: number): RegistrationAnswer {
  const registrationState = { registrationId, status: 'assigning' } as const;
  return { pending: true, retryAfterSeconds, body: { operationId, status: 'assigning', registrationState } };
}

function answerOperation({ operationId }: OperationRow, row: RegistrationRow, apiVersion: string | undefined): RegistrationAnswer {
  const registrationState = renderOutcome(row, apiVersion);
  return { pending: false, body: { operationId, status: row.status, registrationState } };
}

function renderOutcome(row: RegistrationRow, apiVersion: string | undefined): DeviceRegistrationResult {
  return row.status === 'disabled' ? renderDisabled(row.registrationId) : renderResult(row, apiVersion);
}

function tooManyWait(): ServiceError {
  return new ServiceError('ServerBusy', 'Too many registrations wait for their allocation.', { retryAfterSeconds: busySeconds });
}
