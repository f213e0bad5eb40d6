import type { Hub } from '../../../hub/service.ts';
import type { HttpRequest, Route } from '../engine/route.ts';
import { renderLocked } from './devicebound-routes.ts';
import { admitToChange, admitToHub } from './hub-request.ts';

/** What services do about messages to devices over HTTPS: empty a queue, and fetch feedback (iot-hub.md 6.4). */
export function messagingRoutes(hub: Hub): readonly Route[] {
  const feedback = '/messages/servicebound/feedback';
  const lockToken = (request: HttpRequest): string => request.params['lockToken']?.toLowerCase() ?? '';
  return [
    {
      method: 'DELETE',
      path: '/devices/:deviceId/commands',
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'ServiceConnect');
        return { status: 200, body: await by.cloudToDevice.purge(name, request.params['deviceId'] ?? '') };
      },
    },
    {
      method: 'GET',
      path: feedback,
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        const batch = await hub.feedback.receive(name);
        if (batch === undefined) return { status: 204 };
        const type = batch.message.systemProperties['content-type'] ?? 'application/json';
        return { ...renderLocked(batch), bytes: { content: batch.message.body, type } };
      },
    },
    {
      method: 'DELETE',
      path: `${feedback}/:lockToken`,
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        await hub.feedback.settle(name, lockToken(request), request.query('reject') === undefined ? 'complete' : 'reject');
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: `${feedback}/:lockToken/abandon`,
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        await hub.feedback.settle(name, lockToken(request), 'abandon');
        return { status: 204 };
      },
    },
  ];
}
