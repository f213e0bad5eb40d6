import { createHash, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../../../kernel/service-error.ts';
import { causeOf } from '../cause.ts';
import type { Route } from '../engine/route.ts';
import type { MusterRoute } from './muster-route.ts';

/** Puts the token check in front of every route, before anything of the request is read. */
export function behindToken(routes: readonly MusterRoute[], apiToken: string): readonly Route[] {
  const expected = digest(apiToken);
  return routes.map((route) => ({
    ...route,
    handle: async (request) => {
      const given = /^Bearer +(\S+)$/iu.exec(request.header('authorization') ?? '')?.[1];
      if (given === undefined || !timingSafeEqual(digest(given), expected)) {
        throw new ServiceError('IotHubUnauthorized', 'This API needs the token of the data folder as a bearer token.');
      }
      return route.handle({ ...request, cause: causeOf(request, { kind: 'operator', name: 'owner of the data folder' }) });
    },
  }));
}

/** Digests have one length, so that the comparison tells nothing about the token's. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
