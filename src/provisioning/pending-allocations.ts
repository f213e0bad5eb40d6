import { type Cause, deviceCause } from '../audit/actor.ts';
import { limits } from '../contracts/limits.ts';
import { assertNever } from '../kernel/assert-never.ts';
import { type Cancel, type Clock, type Milliseconds, seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { asServiceError, ServiceError } from '../kernel/service-error.ts';
import { maskWebhookUrl, type WebhookConversation, webhookOrigin } from './allocation/webhook.ts';
import { renderAllocationRequest } from './allocation/webhook-request.ts';
import { currentHome, hubRefused, HubRefusal } from './assign-device.ts';
import type { Attempt } from './attempt.ts';
import { createFairQueue, type FairQueue } from './fair-queue.ts';
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
  /** How many webhooks may be asked at a time; one origin may have a quarter of them. */
  readonly concurrentCalls: number;
  /** How many may wait; `limits.queuedAllocations` when absent. */
  readonly queuedCalls?: number;
  /** Called when an origin becomes full, and when it has room again. */
  readonly onFullness?: (origin: string, isFull: boolean) => void;
}

/** Which operation; the rest is in the store. */
export type OperationKey = Pick<OperationRow, 'instance' | 'operationId'>;

/** Registrations whose webhook has to be asked: between their two transactions. */
export interface PendingAllocations {
  /** Whether one more that asks this origin would have to wait too long; asked before it is written. */
  isFull(origin: string): boolean;
  /**
   * Asks the webhook of a committed operation and ends it; does nothing for one that is under way. Without `origin` it is
   * found out when its turn comes.
   */
  start(key: OperationKey, origin?: string): void;
  /** Stops the calls that are under way. What they were about is taken up again at the next start. */
  close(): Promise<void>;
}

/** Rounds in which the enrollment may be changed under the call before the answer is given up. */
const rounds = 3;
const shortestPause = 2;
const longestPause = 60;
/** Attempts that something passing may spoil: about six minutes. Then the device is told so, and registers anew. */
const mostAttempts = 10;
/** For operations whose webhook is not known yet. They ask nobody: they move to the line of their webhook. */
const unknownOrigin = '';

/** One operation on its way. */
interface Pending {
  readonly key: OperationKey;
  readonly id: string;
  readonly origin: string;
  /** Attempts that were spoilt. */
  readonly spoilt: number;
  /** What it has failed with for good; it remains to write that down. */
  readonly failure?: ServiceError;
}

/** What an attempt came to. `elsewhere`: another origin than the one that it waited for has to be asked. */
type Ending =
  | { readonly kind: 'ended' }
  | { readonly kind: 'elsewhere'; readonly origin: string }
  | { readonly kind: 'failed'; readonly failure: ServiceError }
  | { readonly kind: 'spoilt' };

export function createPendingAllocations(deps: PendingAllocationDependencies): PendingAllocations {
  const queue = createQueue(deps);
  const known = new Set<string>();
  const active = new Set<Promise<void>>();
  const paused = new Set<Cancel>();
  const stop = new AbortController();

  function pump(): void {
    while (!stop.signal.aborted) {
      const one = queue.next();
      if (one === undefined) return;
      const running = take(one).finally(() => void active.delete(running));
      active.add(running);
      void running.then(pump);
    }
  }

  async function take(one: Pending): Promise<void> {
    const ending = await attempt(deps, one, stop.signal);
    if (stop.signal.aborted) return;
    switch (ending.kind) {
      case 'ended':
        queue.remove(one.origin);
        known.delete(one.id);
        return;
      case 'elsewhere':
        queue.remove(one.origin);
        queue.add(ending.origin, { ...one, origin: ending.origin });
        return;
      case 'failed':
        return await take({ ...one, failure: ending.failure });
      case 'spoilt':
        return later({ ...one, spoilt: one.spoilt + 1 });
      default:
        return assertNever(ending);
    }
  }

  /** Others have its place while it waits. */
  function later(one: Pending): void {
    queue.pause(one.origin);
    const cancel = deps.clock.after(pauseAfter(one), () => {
      paused.delete(cancel);
      queue.resume(one.origin, one);
      pump();
    });
    paused.add(cancel);
  }

  return {
    isFull: (origin) => queue.isFull(origin),
    start(key, origin = unknownOrigin) {
      const id = `${key.instance.toLowerCase()}\n${key.operationId}`;
      if (stop.signal.aborted || known.has(id)) return;
      known.add(id);
      queue.add(origin, { key, id, origin, spoilt: 0 });
      pump();
    },
    async close() {
      stop.abort();
      for (const cancel of paused) cancel();
      await Promise.all(active);
    },
  };
}

const createQueue = ({
  concurrentCalls: concurrent,
  queuedCalls: queued = limits.queuedAllocations,
  onFullness,
}: PendingAllocationDependencies) => tellingFullness(createFairQueue<Pending>({ concurrent, queued }), onFullness);

/** The same queue; it tells when a lane becomes full, and when it has room again. */
function tellingFullness<T>(queue: FairQueue<T>, tell: PendingAllocationDependencies['onFullness'] = () => {}): FairQueue<T> {
  const full = new Set<string>();
  function note(lane: string): void {
    const isFull = queue.isFull(lane);
    if (isFull === full.has(lane)) return;
    if (isFull) full.add(lane);
    else full.delete(lane);
    tell(lane, isFull);
  }
  return {
    ...queue,
    add(lane, item) {
      queue.add(lane, item);
      note(lane);
    },
    remove(lane) {
      queue.remove(lane);
      note(lane);
    },
  };
}

function pauseAfter({ spoilt }: Pending): Milliseconds {
  return seconds(Math.min(shortestPause * 2 ** (spoilt - 1), longestPause));
}

/** Never throws. A store that is busy for a moment must not leave a device waiting for ever, nor must an error that stays. */
async function attempt(deps: PendingAllocationDependencies, one: Pending, signal: AbortSignal): Promise<Ending> {
  const { key, spoilt } = one;
  try {
    if (one.failure === undefined) return await endOperation(deps, one, signal);
    await writeFailure(deps, key, one.failure);
    return { kind: 'ended' };
  } catch (error) {
    if (signal.aborted) return { kind: 'spoilt' };
    deps.log.error('allocation.failed', { ...key, error, attempts: spoilt + 1 });
    const passing = !(error instanceof ServiceError) || error.row.retryable;
    const tryAgain = one.failure !== undefined || (passing && spoilt + 1 < mostAttempts);
    return tryAgain ? { kind: 'spoilt' } : { kind: 'failed', failure: asServiceError(error) };
  }
}

async function writeFailure(
  { storage, settlement, clock }: PendingAllocationDependencies,
  key: OperationKey,
  error: ServiceError,
): Promise<void> {
  await storage.write(async (transaction) => {
    const operation = await transaction.registrations.getOperation(key.instance, key.operationId);
    if (operation?.request !== undefined) await settlement.failed(transaction, operation, { error, at: clock.now() });
  });
}

async function endOperation(deps: PendingAllocationDependencies, { key, origin }: Pending, signal: AbortSignal): Promise<Ending> {
  for (let round = 1; round <= rounds; round += 1) {
    const conversation = await converse(deps, { key, origin }, signal);
    if (signal.aborted) return { kind: 'spoilt' };
    if (conversation !== undefined && 'elsewhere' in conversation) return { kind: 'elsewhere', origin: conversation.elsewhere };
    if ((await conclude(deps, key, conversation)) === 'ended') return { kind: 'ended' };
  }
  const sentence = 'The enrollment changed again and again while its webhook was being asked.';
  return { kind: 'failed', failure: new ServiceError('DpsConflict', sentence) };
}

/** What is asked is read from the store, so that a restart does the same as the first run. Outside any transaction. */
async function converse(
  { storage, judge, settlement, webhooks, log }: PendingAllocationDependencies,
  { key, origin }: Pick<Pending, 'key' | 'origin'>,
  signal: AbortSignal,
): Promise<WebhookConversation | { readonly elsewhere: string } | undefined> {
  const pending = await readPending(storage.read, key);
  if (pending === undefined) return undefined;
  const { attempt } = pending;
  const outcome = await judge(storage.read, attempt);
  const { verdict } = outcome;
  if (verdict.kind !== 'admit') return undefined;
  const { device, allocation } = await settlement.plan(storage.read, attempt, { ...outcome, verdict });
  if (!('ask' in allocation)) return undefined;
  const { webhookUrl } = allocation.ask;
  // Each waits in the line of the one that it asks.
  const asked = webhookOrigin(webhookUrl);
  if (asked !== origin) return { elsewhere: asked };
  if (signal.aborted) return undefined;
  const certificates = [...attempt.request.credentials.certificates];
  const { entry, registrationId } = device;
  const payload = attempt.payload === undefined ? {} : { payload: attempt.payload };
  const request = renderAllocationRequest({ entry, registrationId, certificates, home: currentHome(device), ...payload }, allocation);
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
  const pending = await readPending(deps.storage.read, key);
  if (pending === undefined) return 'ended';
  const cause = causeOf(pending.attempt, conversation);
  try {
    return await deps.storage.write((transaction) => settleLater(deps, transaction, { key, conversation }), cause);
  } catch (error) {
    if (!(error instanceof HubRefusal)) throw error;
    return await deps.storage.write((transaction) => settleLater(deps, transaction, { key, conversation, refusal: error }), cause);
  }
}

/** The device has asked for it, and where there is a webhook, that has decided. */
function causeOf({ request }: Attempt, conversation: WebhookConversation | undefined): Cause {
  const cause = deviceCause(request.registrationId, request.peer);
  return conversation === undefined ? cause : { ...cause, reason: `allocation webhook ${maskWebhookUrl(conversation.webhookUrl)}` };
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
      const { waitsFor } = await settlement.admitted(transaction, attempt, { ...outcome, verdict, operation, ...said, ...given });
      return waitsFor === undefined ? 'ended' : 'again';
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
