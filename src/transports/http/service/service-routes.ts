import type { Provisioning, ProvisioningAdministration } from '../../../provisioning/service.ts';
import type { RouteGroup } from '../engine/route.ts';
import { renderDpsError } from '../errors.ts';
import { enrollmentRoutes } from './enrollment-routes.ts';
import { recordRoutes } from './record-routes.ts';

/** The service API of provisioning (dps.md 4). */
export function createDpsServiceRoutes(provisioning: Provisioning): RouteGroup {
  const individual = {
    path: '/enrollments',
    idField: 'registrationId',
    bulkField: 'enrollments',
    itemType: 'enrollment',
    of: (by: ProvisioningAdministration) => by.individualEnrollments,
  } as const;
  const group = {
    path: '/enrollmentGroups',
    idField: 'enrollmentGroupId',
    bulkField: 'enrollmentGroups',
    itemType: 'enrollmentGroup',
    of: (by: ProvisioningAdministration) => by.enrollmentGroups,
  } as const;
  return {
    owns: (path) => /^\/(?:enrollments|enrollmentGroups|registrations)(?:\/|$)/iu.test(path),
    renderError: renderDpsError,
    routes: [...enrollmentRoutes(provisioning, individual), ...enrollmentRoutes(provisioning, group), ...recordRoutes(provisioning)],
  };
}
