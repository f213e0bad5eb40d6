import { limits } from '../contracts/limits.ts';
import { assertNever } from '../kernel/assert-never.ts';
import { type Clock, seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { maskWebhookUrl, type WebhookConversation } from './allocation/webhook.ts';
import { renderAllocationRequest } from './allocation/webhook-request.ts';
import { currentHome, hubRefused, HubRefusal } from './assign-device.ts';
import type { Attempt } from './attempt.ts';
import type { ProvenJudge } from './judge.ts';
import type { AllocationWebhooks, OperationRow, ProvisioningStorage, ProvisioningTransaction } from './ports.ts';
import type { Settlement } from './settle.ts';
import { restoreRequest } from './stored-request.ts';

export interface PendingAllocationDependencies {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly judge: ProvenJudge;
  readonly settlement: Settlement;
  readonly webhooks: AllocationWebhooks;
  /** How many webhooks may be asked at a time. */
  readonly concurrentCalls: number;
}

/** Which operation; the rest is in the store. */
export type OperationKey = Pick<OperationRow, 'instance' | 'operationId'>;

/** Registrations whose webhook has to be asked: between their two transactions. */
export interface PendingAllocations {
  /** Whether one more would have to wait too long; asked before it is written. */
  readonly isFull: boolean;
  /** Asks the webhook of a committed operation and ends it; does nothing for one that is under way. */
  start(key: OperationKey): void;
  /** Stops the calls that are under way. What they were about is taken up again at the next start. */
  close(): Promise<void>;
}

/** Rounds in which the enrollment may be changed under the call before the answer is given up. */
const rounds = 3;
const shortestPause = 2;
const longestPause = 60;

export function createPendingAllocations(deps: PendingAllocationDependencies): PendingAllocations {
  const waiting = new Map<string, OperationKey>();
  const active = new Map<string, Promise<void>>();
  const stop = new AbortController();

  function pump(): void {
    for (const [id, key] of waiting) {
      if (active.size >= deps.concurrentCalls || stop.signal.aborted) return;
      waiting.delete(id);
      active.set(
        id,
        finish(key, id).finally(() => {
          active.delete(id);
          pump();
        }),
      );
    }
  }

  /** A store that is busy for a moment must not leave a device waiting for ever. */
  async function finish(key: OperationKey, id: string, pauseSeconds = shortestPause): Promise<void> {
    try {
      await endOperation(deps, key, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      deps.log.error('allocation.failed', { ...key, error, pauseSeconds });
      await pause(deps.clock, pauseSeconds, stop.signal);
      if (!stop.signal.aborted) await finish(key, id, Math.min(2 * pauseSeconds, longestPause));
    }
  }

  return {
    get isFull() {
      return waiting.size >= limits.queuedAllocations;
    },
    start(key) {
      const id = `${key.instance.toLowerCase()}\n${key.operationId}`;
      if (stop.signal.aborted || waiting.has(id) || active.has(id)) return;
      waiting.set(id, key);
      pump();
    },
    async close() {
      stop.abort();
      waiting.clear();
      await Promise.all(active.values());
    },
  };
}

function pause(clock: Clock, length: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const onAbort = (): void => {
      cancel();
      resolve();
    };
    // The signal outlives many pauses, so each takes its listener away again.
    const cancel = clock.after(seconds(length), () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

async function endOperation(deps: PendingAllocationDependencies, key: OperationKey, signal: AbortSignal): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    const conversation = await converse(deps, key, signal);
    if (signal.aborted) return;
    if ((await conclude(deps, key, conversation)) === 'ended') return;
  }
  throw new ServiceError('DpsConflict', 'The enrollment changed again and again while its webhook was being asked.');
}

/** What is asked is read from the store, so that a restart does the same as the first run. Outside any transaction. */
async function converse(
  { storage, judge, settlement, webhooks, log }: PendingAllocationDependencies,
  key: OperationKey,
  signal: AbortSignal,
): Promise<WebhookConversation | undefined> {
  const pending = await readPending(storage.read, key);
  if (pending === undefined) return undefined;
  const { attempt } = pending;
  const outcome = await judge(storage.read, attempt);
  const { verdict } = outcome;
  if (verdict.kind !== 'admit') return undefined;
  const { device, allocation } = await settlement.plan(storage.read, attempt, { ...outcome, verdict });
  if (!('ask' in allocation)) return undefined;
  const { certificates } = attempt.request.credentials;
  const { entry, registrationId } = device;
  const payload = attempt.payload === undefined ? {} : { payload: attempt.payload };
  const request = renderAllocationRequest({ entry, registrationId, certificates, home: currentHome(device), ...payload }, allocation);
  const { webhookUrl } = allocation.ask;
  const { trackingId } = attempt;
  const result = await webhooks.call({ url: webhookUrl, body: JSON.stringify(request), trackingId, signal });
  log.info('allocation.webhook', {
    webhookUrl: maskWebhookUrl(webhookUrl),
    registrationId,
    trackingId,
    operationId: key.operationId,
    elapsedMilliseconds: result.elapsed,
    ...(result.kind === 'answered' ? { status: result.status } : { failure: result.reason, detail: result.detail }),
  });
  return { webhookUrl, request, result };
}

/** The second transaction: judged again, so that an entry that was disabled in the meantime shuts the device out. */
async function conclude(
  deps: PendingAllocationDependencies,
  key: OperationKey,
  conversation: WebhookConversation | undefined,
): Promise<'ended' | 'again'> {
  try {
    return await deps.storage.write((transaction) => settleLater(deps, transaction, { key, conversation }));
  } catch (error) {
    if (!(error instanceof HubRefusal)) throw error;
    return await deps.storage.write((transaction) => settleLater(deps, transaction, { key, conversation, refusal: error }));
  }
}

async function settleLater(
  { judge, settlement }: PendingAllocationDependencies,
  transaction: ProvisioningTransaction,
  {
    key,
    conversation,
    refusal,
  }: { readonly key: OperationKey; readonly conversation: WebhookConversation | undefined; readonly refusal?: HubRefusal },
): Promise<'ended' | 'again'> {
  const pending = await readPending(transaction, key);
  if (pending === undefined) return 'ended';
  const { attempt, operation } = pending;
  const outcome = await judge(transaction, attempt);
  const { verdict } = outcome;
  switch (verdict.kind) {
    case 'refuse':
      await settlement.refused(transaction, attempt, { ...outcome, verdict, operation });
      return 'ended';
    case 'disabled':
      // It has proven who it is when it began.
      await settlement.disabled(transaction, attempt, { ...outcome, verdict: { ...verdict, authenticated: true }, operation });
      return 'ended';
    case 'admit': {
      const given = refusal === undefined ? {} : { assignment: hubRefused(refusal) };
      const said = conversation === undefined ? {} : { conversation };
      const { waits } = await settlement.admitted(transaction, attempt, { ...outcome, verdict, operation, ...said, ...given });
      return waits ? 'again' : 'ended';
    }
    default:
      return assertNever(verdict);
  }
}

/** The operation and what its device asked; `undefined` once it has ended. */
async function readPending(
  { registrations, instances }: Pick<ProvisioningTransaction, 'registrations' | 'instances'>,
  { instance: name, operationId }: OperationKey,
): Promise<{ readonly attempt: Attempt; readonly operation: OperationRow } | undefined> {
  const operation = await registrations.getOperation(name, operationId);
  const instance = await instances.get(name);
  if (instance === undefined || operation?.request === undefined || operation.trackingId === undefined) return undefined;
  const { createdAt: presentedAt, trackingId } = operation;
  return { operation, attempt: { ...restoreRequest(operation.request), instance, trackingId, action: 'register', presentedAt } };
}
