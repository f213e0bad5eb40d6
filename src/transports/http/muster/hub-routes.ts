import type { Hub, MonitoredEvent } from '../../../hub/service.ts';
import type { ServerSentEvent } from '../engine/route.ts';
import { createResourceBody, readBody, renewKeyBody } from './bodies.ts';
import type { ResourceDeps } from './dps-routes.ts';
import type { MusterRoute } from './muster-route.ts';
import { readSequence } from './read-query.ts';

/** Hubs, their policies, and what their devices send. */
export function hubRoutes(deps: ResourceDeps & { readonly hub: Hub }): readonly MusterRoute[] {
  const { hubs, monitor } = deps.hub;
  return [
    { method: 'GET', path: '/api/v1/hubs', handle: async () => ({ status: 200, body: await hubs.list() }) },
    {
      method: 'POST',
      path: '/api/v1/hubs',
      handle: async (request) => {
        const { name, hostName } = await readBody(request, createResourceBody);
        const created = await deps.hub.as(request.cause).hubs.create({ name, hostName: hostName ?? deps.defaultHostName('hub', name) });
        await deps.onNamesChanged();
        return { status: 200, body: created };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/hubs/:name',
      handle: async (request) => ({ status: 200, body: await hubs.get(request.params['name'] ?? '') }),
    },
    {
      method: 'GET',
      path: '/api/v1/hubs/:name/policies',
      handle: async (request) => {
        const { name } = await hubs.get(request.params['name'] ?? '');
        return { status: 200, body: await hubs.policies(name) };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/hubs/:name/policies/:keyName/renew-key',
      handle: async (request) => {
        const { key } = await readBody(request, renewKeyBody);
        const { name = '', keyName = '' } = request.params;
        const policy = await deps.hub.as(request.cause).hubs.renewPolicyKey(name, keyName, key);
        await deps.onKeysChanged();
        return { status: 200, body: { ...policy, rights: [...policy.rights] } };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/hubs/:name/events',
      handle: async (request) => {
        const { name } = await hubs.get(request.params['name'] ?? '');
        // A client that lost its stream says in `Last-Event-ID` what it had last (HTML, server-sent events).
        const after = readSequence(request.header('last-event-id') ?? request.query('after'), 'after');
        const deviceId = request.query('deviceId');
        const from = { ...(after === undefined ? {} : { after }), ...(deviceId ? { deviceId } : {}) };
        return { status: 200, events: (signal) => renderEvents(monitor.follow(name, { ...from, signal })) };
      },
    },
  ];
}

async function* renderEvents(events: AsyncIterable<MonitoredEvent>): AsyncGenerator<ServerSentEvent> {
  for await (const event of events) {
    const { sequenceNumber, deviceId, source, systemProperties, applicationProperties } = event;
    const data = {
      sequenceNumber,
      deviceId,
      enqueuedAt: new Date(event.enqueuedAt).toISOString(),
      source,
      systemProperties,
      applicationProperties,
      body: Buffer.from(event.body).toString('base64'),
    };
    yield { id: String(sequenceNumber), data: JSON.stringify(data) };
  }
}
