import { isJsonObject } from '../../../kernel/json.ts';
import type { Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Hub } from '../../../hub/service.ts';
import type { HttpRequest, Route } from '../engine/route.ts';
import { readPageRequest, renderPage } from '../engine/paging.ts';
import { admitToHub, paging, readPrecondition, requireJson } from './hub-request.ts';

/** The longest query text that the hub takes (iot-hub.md 6.9). */
const maxQueryCharacters = 8192;

/** Twins as services see them, and the one query that lists them (iot-hub.md 6.7, 6.9). No ETag header on twins (1.2). */
export function twinRoutes(hub: Hub): readonly Route[] {
  const { twins } = hub;
  return [
    {
      method: 'GET',
      path: '/twins/:deviceId',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        return { status: 200, body: await twins.get(name, request.params['deviceId'] ?? '') };
      },
    },
    {
      method: 'PATCH',
      path: '/twins/:deviceId',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        const change = { body: await requireJson(request), precondition: twinPrecondition(request) };
        return { status: 200, body: await twins.patch(name, request.params['deviceId'] ?? '', change) };
      },
    },
    {
      method: 'PUT',
      path: '/twins/:deviceId',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        const change = { body: await requireJson(request), precondition: twinPrecondition(request) };
        return { status: 200, body: await twins.replace(name, request.params['deviceId'] ?? '', change) };
      },
    },
    {
      method: 'POST',
      path: '/devices/query',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        const listing = ['twins', name];
        const page = readPageRequest(request, paging, listing);
        await requireListingQuery(request);
        return renderPage(await twins.list(name, page), { itemType: 'Twin', limit: page.limit, listing });
      },
    },
  ];
}

/** A twin always exists beside its device: without a condition both writes are unconditional (iot-hub.md 6.1). */
function twinPrecondition(request: HttpRequest): Precondition {
  const precondition = readPrecondition(request);
  return precondition.kind === 'absent' ? { kind: 'any' } : precondition;
}

/** `select * from devices` is what az and the SDKs send to list devices. */
async function requireListingQuery(request: HttpRequest): Promise<void> {
  const body = await requireJson(request);
  const query = isJsonObject(body) ? body['query'] : undefined;
  if (typeof query !== 'string') throw new ServiceError('ArgumentInvalid', 'The body must be an object with a text in query.');
  if (query.length <= maxQueryCharacters && /^select\s+\*\s+from\s+devices$/iu.test(query.trim())) return;
  throw new ServiceError('ArgumentInvalid', 'The query language is not available yet: only SELECT * FROM devices is answered.');
}
