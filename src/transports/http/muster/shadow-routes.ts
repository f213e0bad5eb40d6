import type { Enrollments, Provisioning } from '../../../provisioning/service.ts';
import type { HttpRequest } from '../engine/route.ts';
import type { MusterRoute } from './muster-route.ts';
import { readPage, readWord } from './read-query.ts';

const kinds = ['individual', 'group'] as const;

/** Enrollments that can never decide. A page is one of all enrollments, of which it shows those. */
export function shadowRoutes({ instances, individualEnrollments, enrollmentGroups }: Provisioning): readonly MusterRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/dps/:name/shadowed',
      handle: async (request) => {
        const { name } = await instances.get(request.params['name'] ?? '');
        const kind = readWord(request, 'kind', kinds) ?? 'individual';
        const body =
          kind === 'group'
            ? await pageOf(enrollmentGroups, ({ enrollmentGroupId }) => enrollmentGroupId, { name, kind, request })
            : await pageOf(individualEnrollments, ({ registrationId }) => registrationId, { name, kind, request });
        return { status: 200, body };
      },
    },
  ];
}

async function pageOf<T>(
  enrollments: Enrollments<T>,
  idOf: (item: T) => string,
  { name, kind, request }: { readonly name: string; readonly kind: (typeof kinds)[number]; readonly request: HttpRequest },
): Promise<object> {
  const { items, next } = await enrollments.list(name, readPage(request));
  const shadowed = await enrollments.shadowed(name, items.map(idOf));
  return { items: [...shadowed].map(([id, by]) => ({ kind, id, by })), ...(next === undefined ? {} : { next }) };
}
