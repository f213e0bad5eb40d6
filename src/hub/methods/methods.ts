import { limits } from '../../contracts/limits.ts';
import { assertNever } from '../../kernel/assert-never.ts';
import type { Clock, Milliseconds } from '../../kernel/clock.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import { requireHub, requireIdentity } from '../lookup.ts';
import type { HubStorage, MethodOutcome, SessionBus } from '../ports.ts';
import type { MethodResult, Methods } from '../service.ts';
import { createWaiter } from '../../kernel/waiter.ts';
import { type MethodInvocation, readMethodBody } from './method-body.ts';

interface MethodDeps {
  readonly storage: HubStorage;
  readonly bus: SessionBus;
  readonly clock: Clock;
}

/** Direct methods (chapter 6.8): handed to a device that is there, at most once, and nothing is kept. */
export function createMethods(deps: MethodDeps): Methods {
  return {
    async invoke(hub, deviceId, body) {
      const invocation = readMethodBody(body);
      const { name } = await requireHub(deps.storage.read.hubs, hub);
      await requireIdentity(deps.storage.read, name, deviceId);
      const outcome = await reach(deps, { hub: name, deviceId }, invocation);
      return resultOf(outcome, invocation);
    },
  };
}

interface Target {
  readonly hub: string;
  readonly deviceId: string;
}

/** Tries now, and again whenever the device begins to take calls, until the connect time-out. `undefined` = it did not come. */
async function reach(
  { bus, clock }: MethodDeps,
  { hub, deviceId }: Target,
  invocation: MethodInvocation,
): Promise<MethodOutcome | undefined> {
  const { call, connectTimeout, responseTimeout } = invocation;
  const news = createWaiter();
  let waiting = connectTimeout > 0;
  // Before the first try, so that a device that comes in between is heard.
  const stopListening = bus.listen({ hub, about: 'methods', deviceId }, news.ring);
  const stopWaiting = clock.after(connectTimeout, () => {
    waiting = false;
    news.ring();
  });
  try {
    for (;;) {
      const outcome = await within(responseTimeout, clock, (signal) => bus.callMethod(hub, deviceId, call, signal));
      if (outcome !== undefined || !waiting) return outcome;
      await news.next();
    }
  } finally {
    stopWaiting();
    stopListening();
  }
}

async function within<T>(span: Milliseconds, clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const aborter = new AbortController();
  const cancel = clock.after(span, () => aborter.abort());
  try {
    return await work(aborter.signal);
  } finally {
    cancel();
  }
}

function resultOf(outcome: MethodOutcome | undefined, { connectTimeout, responseTimeout }: MethodInvocation): MethodResult {
  switch (outcome?.kind) {
    case undefined:
      throw new ServiceError('DeviceNotOnline', 'Timed out waiting for device to connect.', {
        info: { timeout: renderSpan(connectTimeout) },
      });
    case 'answered':
      return { status: outcome.status, payload: outcome.payload };
    case 'abandoned':
      throw new ServiceError('GatewayTimeout', 'Timed out waiting for the response from device.', {
        info: { timeout: renderSpan(responseTimeout) },
      });
    case 'connection-lost':
      throw new ServiceError(
        'DeviceConnectionClosedRemotely',
        'The device got the call, and its connection ended before it answered. It may have done what was asked.',
        { info: {} },
      );
    case 'refused':
      throw refusal(outcome.reason);
    default:
      return assertNever(outcome);
  }
}

function refusal(reason: Extract<MethodOutcome, { kind: 'refused' }>['reason']): ServiceError {
  switch (reason) {
    case 'too-many':
      return new ServiceError(
        'DeviceMaximumInflightMethodExceeded',
        `The device works at ${limits.methodsInflight} calls already, which is as many as it gets at a time.`,
        { info: {} },
      );
    case 'not-json':
      return new ServiceError('IotHubFormatError', 'The device answered with a payload that is not JSON.', { info: {} });
    case 'too-large':
      return new ServiceError('MessageTooLarge', `The device answered with more than ${limits.methodBytes} bytes.`, { info: {} });
    default:
      return assertNever(reason);
  }
}

/** `00:01:00`, as .NET writes a span. */
function renderSpan(span: Milliseconds): string {
  return new Date(span).toISOString().slice(11, 19);
}
