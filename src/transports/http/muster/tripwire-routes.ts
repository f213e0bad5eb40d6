import { eventKinds } from '../../../contracts/fleet/event.ts';
import type { EventList } from '../../../events/event-list.ts';
import type { Fleet } from '../../../fleet/service.ts';
import type { MusterRoute } from './muster-route.ts';
import { readPage, readSequence, readWord } from './read-query.ts';

/** What devices did after they were shut out, and the events that operators are told of. */
export function tripwireRoutes({ tripwires }: Pick<Fleet, 'tripwires'>, events: EventList): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/tripwires',
      handle: async (request) => ({ status: 200, body: await tripwires.list(readPage(request)) }),
    },
    {
      method: 'GET',
      path: '/api/v1/tripwires/:device',
      handle: async (request) => ({ status: 200, body: await tripwires.get(request.params['device'] ?? '') }),
    },
    {
      method: 'GET',
      path: '/api/v1/events',
      handle: async (request) => {
        const page = readPage(request);
        readSequence(page.after, 'after');
        const kind = readWord(request, 'kind', eventKinds);
        return { status: 200, body: await events.list({ ...page, ...(kind === undefined ? {} : { kind }) }) };
      },
    },
  ];
}
