import type { Enrollments } from '../../../provisioning/service.ts';
import type { HttpRequest } from '../engine/route.ts';

/** Asks for `shadowedBy` in enrollments; without it the answer is Azure's. */
const askHeader = 'x-muster-shadows';

/** The same entries; those that can never decide say which ones decide before them, for a client that asked to be told. */
export async function markShadowed<T extends object>(
  enrollments: Pick<Enrollments<T>, 'shadowed'>,
  entries: { readonly instance: string; readonly items: readonly T[]; readonly idField: 'registrationId' | 'enrollmentGroupId' },
  request: Pick<HttpRequest, 'header'>,
): Promise<readonly T[]> {
  if (request.header(askHeader)?.trim().toLowerCase() !== 'show') return entries.items;
  const idOf = (item: T): string => String((item as Readonly<Record<string, unknown>>)[entries.idField]);
  const shadowed = await enrollments.shadowed(entries.instance, entries.items.map(idOf));
  return entries.items.map((item) => {
    const by = shadowed.get(idOf(item));
    return by === undefined ? item : { ...item, shadowedBy: by.map(({ kind, id }) => `${kind} ${id}`).join(', ') };
  });
}
