import { refusalSides } from '../../../contracts/fleet/refusal.ts';
import { transportNames } from '../../../contracts/transport.ts';
import type { RefusalFilter } from '../../../refusals/ports.ts';
import type { FeedEvent, RefusalFeed } from '../../../refusals/refusal-feed.ts';
import type { HttpRequest, ServerSentEvent } from '../engine/route.ts';
import type { MusterRoute } from './muster-route.ts';
import { readMoment, readPage, readSequence, readText, readWord } from './read-query.ts';

/** Devices that were not let in, and why: listed, and as it happens. */
export function refusalRoutes(feed: RefusalFeed): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/refusals',
      handle: async (request) => {
        const page = readPage(request);
        readSequence(page.after, 'after');
        const since = readMoment(request, 'since');
        const filter = { ...readFilter(request), ...(since === undefined ? {} : { since }) };
        return { status: 200, body: await feed.list({ ...page, filter }) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/refusals/stream',
      handle: async (request) => {
        const filter = readFilter(request);
        // A client that lost its stream says in `Last-Event-ID` what it had last (HTML, server-sent events).
        const after = readSequence(request.header('last-event-id') ?? request.query('after'), 'after');
        const from = { filter, ...(after === undefined ? {} : { after }) };
        return { status: 200, events: (signal) => renderEvents(feed.follow({ ...from, signal })) };
      },
    },
  ];
}

function readFilter(request: HttpRequest): RefusalFilter {
  const deviceId = readText(request, 'device');
  const transport = readWord(request, 'transport', transportNames);
  const side = readWord(request, 'side', refusalSides);
  return {
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(transport === undefined ? {} : { transport }),
    ...(side === undefined ? {} : { side }),
  };
}

async function* renderEvents(events: AsyncIterable<FeedEvent>): AsyncGenerator<ServerSentEvent> {
  for await (const event of events) {
    if (event.kind === 'refusal') yield { id: String(event.refusal.sequence), data: JSON.stringify(event.refusal) };
    // With the id to go on from, so that a client that connects again is told once, not for ever.
    else yield { id: String(event.to), event: event.kind, data: JSON.stringify({ from: event.from, to: event.to }) };
  }
}
