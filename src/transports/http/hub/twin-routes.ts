import { isJsonObject } from '../../../kernel/json.ts';
import type { Precondition } from '../../../kernel/precondition.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { Hub } from '../../../hub/service.ts';
import type { HttpRequest, Route } from '../engine/route.ts';
import { readPageRequest, renderPage } from '../engine/paging.ts';
import { admitToChange, admitToHub, paging, pathOf, readPrecondition, requireJson } from './hub-request.ts';

/** The longest query text that the hub takes (iot-hub.md 6.9). */
const maxQueryCharacters = 8192;

/** Twins as services see them, and the two queries that list them (iot-hub.md 6.7, 6.9). No ETag header on twins (1.2). */
export function twinRoutes(hub: Hub): readonly Route[] {
  const { twins } = hub;
  return [
    ...['/twins/:deviceId', '/twins/:deviceId/modules/:moduleId'].flatMap((path) => routesOf(hub, path)),
    {
      method: 'POST',
      path: '/devices/query',
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        const only = await readListingQuery(request);
        const listing = ['twins', name, ...(only === undefined ? [] : [only])];
        const page = readPageRequest(request, paging, listing);
        return renderPage(await twins.list(name, page, only), { itemType: 'Twin', limit: page.limit, listing });
      },
    },
  ];
}

/** Reading and writing one twin. */
function routesOf(hub: Hub, path: string): readonly Route[] {
  const { twins } = hub;
  return [
    {
      method: 'GET',
      path,
      handle: async (request) => {
        const name = await admitToHub(hub, request, 'ServiceConnect');
        return { status: 200, body: await twins.get(name, pathOf(request)) };
      },
    },
    ...(['PATCH', 'PUT'] as const).map((method): Route => ({
      method,
      path,
      handle: async (request) => {
        const { name, by } = await admitToChange(hub, request, 'ServiceConnect');
        const change = { body: await requireJson(request), precondition: twinPrecondition(request) };
        const target = pathOf(request);
        return {
          status: 200,
          body: await (method === 'PATCH' ? by.twins.patch(name, target, change) : by.twins.replace(name, target, change)),
        };
      },
    })),
  ];
}

/** A twin always exists beside its device: without a condition both writes are unconditional (iot-hub.md 6.1). */
function twinPrecondition(request: HttpRequest): Precondition {
  const precondition = readPrecondition(request);
  return precondition.kind === 'absent' ? { kind: 'any' } : precondition;
}

/** What az and the SDKs send to list devices, and az to list edge devices alone (iot-hub.md 6.9). */
const listingQuery = /^select\s+\*\s+from\s+devices(?<edge>\s+where\s+capabilities\.iotEdge\s*=\s*true)?$/iu;

async function readListingQuery(request: HttpRequest): Promise<'edge' | undefined> {
  const body = await requireJson(request);
  const query = isJsonObject(body) ? body['query'] : undefined;
  if (typeof query !== 'string') throw new ServiceError('ArgumentInvalid', 'The body must be an object with a text in query.');
  const match = query.length <= maxQueryCharacters ? listingQuery.exec(query.trim()) : null;
  if (match !== null) return match.groups?.['edge'] === undefined ? undefined : 'edge';
  throw new ServiceError(
    'ArgumentInvalid',
    'The query language is not available yet: only SELECT * FROM devices is answered, with or without WHERE capabilities.iotEdge = true.',
  );
}
