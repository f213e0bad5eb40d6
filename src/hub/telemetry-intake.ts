import { limits } from '../contracts/limits.ts';
import type { Clock } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireGranted } from './granted.ts';
import type { HubStorage, HubTransaction, SessionBus, TelemetryRow } from './ports.ts';
import type { DeviceGrant } from './service.ts';

export interface TelemetryIntake {
  /**
   * Stores what one device has sent, in its order; resolves when it is durable. What others send meanwhile is stored with it.
   * `render` is called with the moment. Throws as `requireGranted`, `ServerBusy`, and what the store throws.
   */
  take(grant: DeviceGrant, messages: Messages): Promise<void>;
}

interface Messages {
  /** Of all bodies together. */
  readonly bytes: number;
  readonly render: (now: TelemetryRow['enqueuedAt']) => readonly TelemetryRow[];
}

interface Waiting {
  readonly grant: DeviceGrant;
  readonly messages: Messages;
  readonly settle: (failure: unknown) => void;
}

/** Deliveries of one write. More would make the others that wait for a commit wait too long. */
const deliveriesPerWrite = 256;
/** Bodies of one write; one delivery may have more by itself. */
const bytesPerWrite = 4 * limits.telemetryBytes;

/** As many as writes may wait for the store. More would be answered too late, and would only fill memory. */
const waitingMost = 20_000;

/**
 * Many devices that send a little cost as little as one that sends much: whatever arrives until a write begins goes in with it. A
 * device that is no longer let in is told so alone.
 */
export function createTelemetryIntake(deps: {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
}): TelemetryIntake {
  const waiting: Waiting[] = [];
  /** Whether a write that has not begun will take what waits. */
  let isAwaited = false;

  function begin(): void {
    if (isAwaited || waiting.length === 0) return;
    isAwaited = true;
    let taken: readonly Waiting[] = [];
    deps.storage
      .write((transaction) => {
        isAwaited = false;
        taken = takePortion(waiting);
        return storeAll(deps, transaction, taken);
      })
      .then(
        (failures) => taken.forEach((one, at) => one.settle(failures[at])),
        (error: unknown) => {
          // Refused before it began: nobody else will take them.
          if (taken.length === 0) isAwaited = false;
          for (const one of taken.length === 0 ? waiting.splice(0) : taken) one.settle(error);
        },
      )
      .finally(begin);
  }

  return {
    take: (grant, messages) =>
      new Promise((resolve, reject) => {
        if (waiting.length >= waitingMost) throw tooMany();
        // What was refused may be anything that the store throws.
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors
        waiting.push({ grant, messages, settle: (failure) => (failure === undefined ? resolve() : reject(failure)) });
        begin();
      }),
  };
}

function takePortion(waiting: Waiting[]): readonly Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const { messages } of waiting) {
    bytes += messages.bytes;
    if (count > 0 && (bytes > bytesPerWrite || count === deliveriesPerWrite)) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** Returns, for each, why it was not stored. */
async function storeAll(
  { bus, clock }: { readonly bus: SessionBus; readonly clock: Clock },
  transaction: HubTransaction,
  deliveries: readonly Waiting[],
): Promise<readonly unknown[]> {
  const now = clock.now();
  const failures: unknown[] = [];
  const rows: TelemetryRow[] = [];
  const senders = new Set<DeviceGrant>();
  for (const { grant, messages } of deliveries) {
    const failure = senders.has(grant) ? undefined : await refusalOf(transaction, grant, now);
    failures.push(failure);
    if (failure !== undefined) continue;
    senders.add(grant);
    rows.push(...messages.render(now));
  }
  if (rows.length > 0) await transaction.telemetry.append(rows);
  transaction.afterCommit(() => {
    for (const { hub, deviceId } of senders) bus.touch(hub, deviceId);
    for (const hub of new Set([...senders].map((grant) => grant.hub))) bus.ring({ hub, about: 'telemetry' });
  });
  return failures;
}

async function refusalOf(
  transaction: HubTransaction,
  grant: DeviceGrant,
  now: TelemetryRow['enqueuedAt'],
): Promise<ServiceError | undefined> {
  try {
    await requireGranted(transaction, grant, now);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}

const tooMany = (): ServiceError =>
  new ServiceError('ServerBusy', 'The service has more to store than it can keep up with.', { retryAfterSeconds: 2 });
