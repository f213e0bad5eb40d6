import type { ErrorName } from '../kernel/error-table.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { RefusalLog } from './refusal-log.ts';
import type { DeviceGrant, DeviceMessages, DevicePlane, KeptSubscriptions } from './service.ts';

/** Errors that say who a device is or may be; the others are about what it sent. */
const refusals: ReadonlySet<ErrorName> = new Set(['DeviceNotFound', 'DeviceDisabled', 'IotHubUnauthorized']);

type Keep = <T>(grant: DeviceGrant, work: Promise<T>) => Promise<T>;

/** Keeps what refuses a device that had been let in under its tracking id, as `authenticate` does itself. */
function createKeep(log: Pick<RefusalLog, 'keep'>): Keep {
  return async (grant, work) => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ServiceError) || !refusals.has(error.error) || error.trackingId !== undefined) throw error;
      const { hub, deviceId, transport = 'https', remoteAddress: address = '' } = grant;
      const sentence = `The device had been let in, but what it was let in by no longer holds: ${error.detail ?? error.message}`;
      const trace = [{ subject: 'session', outcome: 'decided', reason: 'no-longer-granted', sentence }] as const;
      throw await log.keep({ hub, deviceId, transport, address, refusal: error, trace });
    }
  };
}

/** The same plane with its refusals kept. */
export function explained(log: Pick<RefusalLog, 'keep'>, plane: DevicePlane): DevicePlane {
  const keep = createKeep(log);
  return {
    authenticate: (request) => plane.authenticate(request),
    openSession: (grant, session) => keep(grant, plane.openSession(grant, session)),
    takesMethods: (grant) => plane.takesMethods(grant),
    sendTelemetry: (grant, messages) => keep(grant, plane.sendTelemetry(grant, messages)),
    getTwin: (grant) => keep(grant, plane.getTwin(grant)),
    patchReported: (grant, patch, expectedVersion) => keep(grant, plane.patchReported(grant, patch, expectedVersion)),
  };
}

/** The same messages with their refusals kept. */
export function explainedMessages(log: Pick<RefusalLog, 'keep'>, messages: DeviceMessages): DeviceMessages {
  const keep = createKeep(log);
  return {
    receive: (grant, lockSeconds) => keep(grant, messages.receive(grant, lockSeconds)),
    settle: (grant, lockToken, settlement) => keep(grant, messages.settle(grant, lockToken, settlement)),
    async openReceiver(grant, sink) {
      const receiver = await keep(grant(), messages.openReceiver(grant, sink));
      return {
        setCredit: (credit) => receiver.setCredit(credit),
        rest: () => receiver.rest(),
        settle: (lockToken, settlement) => keep(grant(), receiver.settle(lockToken, settlement)),
        close: () => receiver.close(),
      };
    },
  };
}

/** The same subscriptions, methods among them, with their refusals kept. */
export function explainedSubscriptions(log: Pick<RefusalLog, 'keep'>, subscriptions: KeptSubscriptions): KeptSubscriptions {
  const keep = createKeep(log);
  return {
    load: (grant) => keep(grant, subscriptions.load(grant)),
    keep: (grant, wanted) => keep(grant, subscriptions.keep(grant, wanted)),
  };
}
