import type { Actor, Cause } from '../../audit/actor.ts';
import type { HttpRequest } from './engine/route.ts';

/** Words that a client may send along with a change, percent-encoded where they are not ASCII. */
const reasonHeader = 'x-muster-reason';
const ticketHeader = 'x-muster-ticket';

const mostCharacters = { userAgent: 200, reason: 1000, ticket: 200 };

/** Who asks for a change, from where, and why. Both APIs of Azure and Muster's own take the two headers. */
export function causeOf(request: HttpRequest, by: Pick<Actor, 'kind' | 'name'>): Cause {
  const userAgent = request.header('user-agent');
  const reason = readWords(request.header(reasonHeader), mostCharacters.reason);
  const ticket = readWords(request.header(ticketHeader), mostCharacters.ticket);
  return {
    by: {
      ...by,
      origin: {
        transport: 'https',
        address: request.peer.remoteAddress,
        ...(userAgent ? { userAgent: userAgent.slice(0, mostCharacters.userAgent) } : {}),
      },
    },
    ...(reason === undefined ? {} : { reason }),
    ...(ticket === undefined ? {} : { ticket }),
  };
}

function readWords(text: string | undefined, most: number): string | undefined {
  const words = decode(text ?? '').trim();
  return words === '' ? undefined : words.slice(0, most);
}

/** What is not percent-encoded UTF-8 stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
