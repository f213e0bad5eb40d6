import type { AuditFilter } from '../../../audit/ports.ts';
import type { AuditTrail } from '../../../audit/trail.ts';
import { instant } from '../../../kernel/clock.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { HttpRequest } from '../engine/route.ts';
import { pruneAuditBody } from './audit-bodies.ts';
import { readBody } from './bodies.ts';
import type { MusterRoute } from './muster-route.ts';
import { readMoment, readPage, readSequence, readText, readWord } from './read-query.ts';

/** Who changed what, when, from where and why; and whether the record of it is as it was written. */
export function auditRoutes(audit: AuditTrail): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/audit',
      handle: async (request) => {
        const { limit, after } = readPage(request);
        readSequence(after, 'after');
        const order = readWord(request, 'order', ['newest-first', 'oldest-first']) ?? 'newest-first';
        const query = { limit, order, filter: readFilter(request), ...(after === undefined ? {} : { after }) };
        return { status: 200, body: await audit.list(query) };
      },
    },
    { method: 'GET', path: '/api/v1/audit/head', handle: async () => ({ status: 200, body: await audit.head() }) },
    {
      method: 'GET',
      path: '/api/v1/audit/verify',
      // A trail of years takes its time.
      exchangeSeconds: 600,
      handle: async (request) => {
        const hash = readText(request, 'head');
        if (hash !== undefined && !/^[0-9a-f]{64}$/iu.test(hash)) {
          throw new ServiceError('GenericBadRequest', 'The query parameter head must be a hash, 64 hexadecimal digits.');
        }
        return { status: 200, body: await audit.verify(hash === undefined ? undefined : { hash }) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/audit/:sequence',
      handle: async (request) => {
        const sequence = readSequence(request.params['sequence'], 'sequence') ?? 0;
        return { status: 200, body: await audit.get(sequence) };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/audit/prune',
      handle: async (request) => {
        const { before } = await readBody(request, pruneAuditBody);
        return { status: 200, body: { removed: await audit.prune(instant(Date.parse(before)), request.cause) } };
      },
    },
  ];
}

function readFilter(request: HttpRequest): AuditFilter {
  const filter = {
    resource: readText(request, 'resource'),
    resourceKind: readText(request, 'kind'),
    scope: readText(request, 'scope'),
    actor: readText(request, 'actor'),
    action: readText(request, 'action'),
    since: readMoment(request, 'since'),
    until: readMoment(request, 'until'),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as AuditFilter;
}
