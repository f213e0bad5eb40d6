import type { Enrollments, Provisioning, ProvisioningAdministration } from '../../../provisioning/service.ts';
import type { Route } from '../engine/route.ts';
import { renderPage } from '../engine/paging.ts';
import { runBulk } from './bulk.ts';
import { markShadowed } from './mark-shadowed.ts';
import { admitToChange, admitToInstance, readPrecondition, readQuery, requireJson } from './instance-request.ts';

/** How individual enrollments and groups differ on the wire. */
export interface EnrollmentKind<T> {
  readonly path: '/enrollments' | '/enrollmentGroups';
  readonly idField: 'registrationId' | 'enrollmentGroupId';
  readonly bulkField: 'enrollments' | 'enrollmentGroups';
  readonly itemType: 'enrollment' | 'enrollmentGroup';
  readonly of: (administration: ProvisioningAdministration) => Enrollments<T>;
}

/** The operations of dps.md 4.1 on one kind of enrollment. */
export function enrollmentRoutes<T extends object>(provisioning: Provisioning, kind: EnrollmentKind<T>): readonly Route[] {
  return [...entryRoutes(provisioning, kind), ...manyRoutes(provisioning, kind)];
}

function entryRoutes<T extends object>(provisioning: Provisioning, kind: EnrollmentKind<T>): readonly Route[] {
  const enrollments = kind.of(provisioning);
  const one = `${kind.path}/:id`;
  return [
    {
      method: 'GET',
      path: one,
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'EnrollmentRead');
        const items = [await enrollments.get(instance, request.params['id'] ?? '')];
        const [body] = await markShadowed(enrollments, { instance, items, idField: kind.idField }, request);
        return { status: 200, body };
      },
    },
    {
      method: 'PUT',
      path: one,
      handle: async (request) => {
        const { instance, by, readmits } = await admitToChange(provisioning, request, 'EnrollmentWrite');
        const change = { body: await requireJson(request), precondition: readPrecondition(request) };
        const body = await kind.of(by).put(instance, request.params['id'] ?? '', change);
        return { status: 200, headers: readmits(), body };
      },
    },
    {
      method: 'DELETE',
      path: one,
      handle: async (request) => {
        const { instance, by, readmits } = await admitToChange(provisioning, request, 'EnrollmentWrite');
        await kind.of(by).delete(instance, request.params['id'] ?? '', readPrecondition(request));
        return { status: 204, headers: readmits() };
      },
    },
    {
      // It returns secrets, so reading enrollments is not enough (dps.md 4.1).
      method: 'POST',
      path: `${one}/attestationmechanism`,
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'EnrollmentWrite');
        return { status: 200, body: await enrollments.attestation(instance, request.params['id'] ?? '') };
      },
    },
  ];
}

function manyRoutes<T extends object>(provisioning: Provisioning, kind: EnrollmentKind<T>): readonly Route[] {
  const enrollments = kind.of(provisioning);
  return [
    {
      method: 'POST',
      path: `${kind.path}/query`,
      handle: async (request) => {
        const instance = await admitToInstance(provisioning, request, 'EnrollmentRead');
        const { query, page, listing } = await readQuery(request, [instance, kind.itemType]);
        const found = await enrollments.list(instance, { ...page, query });
        const items = await markShadowed(enrollments, { instance, items: found.items, idField: kind.idField }, request);
        return renderPage({ ...found, items }, { itemType: kind.itemType, limit: page.limit, listing });
      },
    },
    {
      method: 'POST',
      path: kind.path,
      handle: async (request) => {
        const { instance, by, readmits } = await admitToChange(provisioning, request, 'EnrollmentWrite');
        const body = await runBulk({ kind, by, instance, body: await requireJson(request) });
        return { status: 200, headers: readmits(), body };
      },
    },
  ];
}
