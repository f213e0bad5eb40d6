import { type DriftKind, driftKinds } from '../../../contracts/fleet/drift.ts';
import type { Reconcile } from '../../../fleet/reconcile/reconcile.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpRequest } from '../engine/route.ts';
import { readBody } from './bodies.ts';
import { mendBody } from './drift-bodies.ts';
import type { MusterRoute } from './muster-route.ts';
import { readPage } from './read-query.ts';

/** What has come apart, and mending it. */
export function driftRoutes(drift: Reconcile): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/drift',
      handle: async (request) => {
        const kinds = readKinds(request);
        return { status: 200, body: await drift.list({ ...readPage(request), ...(kinds === undefined ? {} : { kinds }) }) };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/drift/mend',
      handle: async (request) => {
        const { top, after, kinds, reason, ticket, dryRun } = await readBody(request, mendBody);
        const wanted = {
          limit: top,
          dryRun,
          ...(after === undefined ? {} : { after }),
          ...(kinds === undefined ? {} : { kinds }),
          ...(reason === undefined ? {} : { reason }),
          ...(ticket === undefined ? {} : { ticket }),
        };
        return { status: 200, body: await drift.mend(wanted, request.cause) };
      },
    },
  ];
}

/** Separated by commas. */
function readKinds(request: HttpRequest): readonly DriftKind[] | undefined {
  const text = request.query('kind');
  if (text === undefined || text === '') return undefined;
  return text.split(',').map((word) => {
    const kind = driftKinds.find((known) => known === word.trim().toLowerCase());
    if (kind === undefined)
      throw new ServiceError('GenericBadRequest', `The query parameter kind must be some of ${driftKinds.join(', ')}.`);
    return kind;
  });
}
