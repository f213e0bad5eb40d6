import type { DeviceGrant, Hub, LockedMessage } from '../../../hub/service.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';
import { asDevice } from './as-device.ts';
import { renderMessageHeaders } from './message-headers.ts';

/** Messages to devices over HTTPS: polled for, and settled by their lock token (iot-hub.md 5). */
export function deviceboundRoutes(hub: Hub): readonly Route[] {
  const { deviceMessages } = hub;
  const path = '/devices/:deviceId/messages/devicebound';
  const settle = async (grant: DeviceGrant, request: HttpRequest, settlement: 'complete' | 'abandon' | 'reject'): Promise<HttpAnswer> => {
    await deviceMessages.settle(grant, request.params['lockToken']?.toLowerCase() ?? '', settlement);
    return { status: 204 };
  };
  return [
    {
      method: 'GET',
      path,
      handle: asDevice(hub, async (grant, request) => {
        const locked = await deviceMessages.receive(grant, readLockTimeout(request));
        return locked === undefined ? { status: 204 } : renderLocked(locked);
      }),
    },
    {
      method: 'DELETE',
      path: `${path}/:lockToken`,
      // The key alone decides: C# sends it without a value, az with an empty one.
      handle: asDevice(hub, (grant, request) => settle(grant, request, request.query('reject') === undefined ? 'complete' : 'reject')),
    },
    { method: 'POST', path: `${path}/:lockToken/abandon`, handle: asDevice(hub, (grant, request) => settle(grant, request, 'abandon')) },
  ];
}

/** A message under its lock: what it says of itself is in headers, its body is the body. */
export function renderLocked(locked: LockedMessage): HttpAnswer {
  return {
    status: 200,
    headers: {
      ...renderMessageHeaders(locked.message),
      etag: `"${locked.lockToken}"`,
      'iothub-messagelocktoken': locked.lockToken,
      'iothub-sequencenumber': String(locked.sequenceNumber),
      'iothub-enqueuedtime': renderHeaderTime(locked.enqueuedAt),
      'iothub-deliverycount': String(locked.deliveryCount),
    },
    bytes: { content: locked.message.body, type: 'application/octet-stream' },
  };
}

/** az sends a header, C# a query parameter. */
function readLockTimeout(request: HttpRequest): number | undefined {
  const text = request.header('iothub-messagelocktimeout') ?? request.query('iothub-messagelocktimeout');
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,9}$/u.test(text)) throw new ServiceError('ArgumentInvalid', 'The lock time-out must be a whole number of seconds.');
  return Number(text);
}

/** `12/9/2019 12:00:00 PM`, as the hub writes times into headers. */
function renderHeaderTime(epochMilliseconds: number): string {
  const at = new Date(epochMilliseconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  const hour = at.getUTCHours();
  const date = `${at.getUTCMonth() + 1}/${at.getUTCDate()}/${at.getUTCFullYear()}`;
  return `${date} ${hour % 12 || 12}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} ${hour < 12 ? 'AM' : 'PM'}`;
}
