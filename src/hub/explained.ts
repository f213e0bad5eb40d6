import type { ErrorName } from '../kernel/error-table.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { RefusalLog } from './refusal-log.ts';
import type { DeviceGrant, DevicePlane } from './service.ts';

/** Errors that say who a device is or may be; the others are about what it sent. */
const refusals: ReadonlySet<ErrorName> = new Set(['DeviceNotFound', 'DeviceDisabled', 'IotHubUnauthorized']);

/** The same plane, but what refuses a device that had been let in is kept under its tracking id, as `authenticate` does itself. */
export function explained(log: Pick<RefusalLog, 'keep'>, plane: DevicePlane): DevicePlane {
  const keep = async <T>(grant: DeviceGrant, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ServiceError) || !refusals.has(error.error) || error.trackingId !== undefined) throw error;
      const { hub, deviceId, transport = 'https' } = grant;
      const sentence = `The device had been let in, but what it was let in by no longer holds: ${error.detail ?? error.message}`;
      const trace = [{ subject: 'session', outcome: 'decided', reason: 'no-longer-granted', sentence }] as const;
      throw await log.keep({ hub, deviceId, transport, refusal: error, trace });
    }
  };
  return {
    authenticate: (request) => plane.authenticate(request),
    openSession: (grant, session) => keep(grant, plane.openSession(grant, session)),
    takesMethods: (grant) => plane.takesMethods(grant),
    sendTelemetry: (grant, messages) => keep(grant, plane.sendTelemetry(grant, messages)),
    getTwin: (grant) => keep(grant, plane.getTwin(grant)),
    patchReported: (grant, patch, expectedVersion) => keep(grant, plane.patchReported(grant, patch, expectedVersion)),
  };
}
