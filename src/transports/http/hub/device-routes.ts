import type { TelemetryMessage } from '../../../contracts/hub/device.ts';
import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Hub } from '../../../hub/service.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';
import { asDevice } from './as-device.ts';
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
    { method: 'POST', path: '/devices/:deviceId/files', handle: asDevice(hub, refuseFiles) },
    { method: 'POST', path: '/devices/:deviceId/files/notifications', handle: asDevice(hub, refuseFiles) },
    { method: 'POST', path: '/devices/:deviceId/files/notifications/:correlationId', handle: asDevice(hub, refuseFiles) },
  ];
}

async function readMessages(request: HttpRequest): Promise<readonly TelemetryMessage[]> {
  const mediaType = request.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType === batchContentType) return parseMessageBatch(await request.readJson(batchTextBytes));
  const body = await request.readBody(limits.telemetryBytes);
  return [{ body, ...readMessageProperties(request.headerLines(), 'ignored') }];
}

async function refuseFiles(): Promise<HttpAnswer> {
  throw new ServiceError('NotImplemented', 'This hub does not take file uploads yet.');
}
