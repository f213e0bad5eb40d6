import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { errorHeardOverHttps } from '../../../hub/heard.ts';
import type { DeviceGrant, Hub } from '../../../hub/service.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';
import { findHub } from './hub-request.ts';
import { batchContentType, batchTextBytes, parseMessageBatch } from './message-batch.ts';
import { readMessageProperties } from './message-headers.ts';

/** What devices do over HTTPS (iot-hub.md 5). */
export function deviceRoutes(hub: Hub): readonly Route[] {
  const messages = '/devices/:deviceId/messages';
  return [
    {
      method: 'POST',
      path: `${messages}/events`,
      handle: asDevice(hub, async (grant, request) => {
        await hub.devicePlane.sendTelemetry(grant, await readMessages(request));
        return { status: 204 };
      }),
    },
    {
      // Nothing is ever queued for a device yet, which is what 204 says.
      method: 'GET',
      path: `${messages}/devicebound`,
      handle: asDevice(hub, async () => ({ status: 204 })),
    },
    { method: 'DELETE', path: `${messages}/devicebound/:lockToken`, handle: asDevice(hub, refuseLockToken) },
    { method: 'POST', path: `${messages}/devicebound/:lockToken/abandon`, handle: asDevice(hub, refuseLockToken) },
    { method: 'POST', path: '/devices/:deviceId/files', handle: asDevice(hub, refuseFiles) },
    { method: 'POST', path: '/devices/:deviceId/files/notifications', handle: asDevice(hub, refuseFiles) },
    { method: 'POST', path: '/devices/:deviceId/files/notifications/:correlationId', handle: asDevice(hub, refuseFiles) },
  ];
}

/** Authenticates before the body is read, and words refusals as a device may hear them. */
function asDevice(hub: Hub, act: (grant: DeviceGrant, request: HttpRequest) => Promise<HttpAnswer>): Route['handle'] {
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

async function readMessages(request: HttpRequest): Promise<readonly TelemetryMessage[]> {
  const mediaType = request.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType === batchContentType) return parseMessageBatch(await request.readJson(batchTextBytes));
  const body = await request.readBody(limits.telemetryBytes);
  return [{ body, ...readMessageProperties(request.headerLines(), 'ignored') }];
}

async function refuseLockToken(): Promise<HttpAnswer> {
  throw new ServiceError('PreconditionFailed', 'No message is locked under this token.');
}

async function refuseFiles(): Promise<HttpAnswer> {
  throw new ServiceError('NotImplemented', 'This hub does not take file uploads yet.');
}
