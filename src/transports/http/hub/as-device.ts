import { errorHeardOverHttps } from '../../../hub/heard.ts';
import type { DeviceGrant, Hub } from '../../../hub/service.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';
import { findHub } from './hub-request.ts';

/** Authenticates before the body is read, and words refusals as a device may hear them. */
export function asDevice(hub: Hub, act: (grant: DeviceGrant, request: HttpRequest) => Promise<HttpAnswer>): Route['handle'] {
  return async (request) => {
    const hubName = await findHub(hub, request);
    const sasToken = request.header('authorization');
    const { certificates, remoteAddress, serverName } = request.peer;
    try {
      const grant = await hub.devicePlane.authenticate({
        hub: hubName,
        deviceId: request.params['deviceId'] ?? '',
        credentials: { certificates, ...(sasToken === undefined ? {} : { sasToken }) },
        peer: { transport: 'https', remoteAddress, ...(serverName === undefined ? {} : { serverName }) },
      });
      return await act(grant, request);
    } catch (thrown) {
      throw hideFromDevice(thrown);
    }
  };
}

/** Words a refusal as a device may hear it. The log keeps the difference. */
function hideFromDevice(thrown: unknown): unknown {
  if (!(thrown instanceof ServiceError)) return thrown;
  const heard = errorHeardOverHttps(thrown.error);
  if (heard === thrown.error) return thrown;
  return new ServiceError(heard, 'Unauthorized', {
    detail: `${thrown.error}: ${thrown.detail ?? thrown.message}`,
    ...(thrown.trackingId === undefined ? {} : { trackingId: thrown.trackingId }),
  });
}
