import type { WhatIfEvent } from '../../../contracts/fleet/what-if.ts';
import type { WhatIf, WhatIfRequest } from '../../../fleet/what-if/what-if.ts';
import type { HttpRequest, ServerSentEvent } from '../engine/route.ts';
import { readBody } from './bodies.ts';
import type { MusterRoute } from './muster-route.ts';
import { whatIfBody } from './what-if-bodies.ts';

/** What a change would do to the fleet: at once, or device by device. */
export function whatIfRoutes(whatIf: WhatIf): readonly MusterRoute[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/what-if',
      handle: async (request) => ({ status: 200, body: await whatIf.report(await readRequest(request)) }),
    },
    {
      method: 'POST',
      path: '/api/v1/what-if/stream',
      handle: async (request) => {
        const follow = await whatIf.stream(await readRequest(request));
        return { status: 200, events: (signal) => renderEvents(follow(signal)) };
      },
    },
  ];
}

async function readRequest(request: HttpRequest): Promise<WhatIfRequest> {
  const { devices, ...body } = await readBody(request, whatIfBody);
  return { ...body, ...(devices === undefined ? {} : { devices }) };
}

async function* renderEvents(events: AsyncIterable<WhatIfEvent>): AsyncGenerator<ServerSentEvent> {
  for await (const { kind, ...event } of events) yield { event: kind, data: JSON.stringify(event) };
}
