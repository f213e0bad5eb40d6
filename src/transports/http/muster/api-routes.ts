import { ServiceError } from '../../../kernel/service-error.ts';
import type { Fleet } from '../../../fleet/service.ts';
import type { Hub } from '../../../hub/service.ts';
import type { DecisionStore } from '../../../provisioning/ports.ts';
import type { Provisioning } from '../../../provisioning/service.ts';
import type { Route, RouteGroup } from '../engine/route.ts';
import { renderMusterError } from '../errors.ts';
import { behindToken } from './bearer.ts';
import { certificateRoutes } from './certificate-routes.ts';
import { dpsRoutes, type ResourceDeps } from './dps-routes.ts';
import { fleetRoutes } from './fleet-routes.ts';
import { hubRoutes } from './hub-routes.ts';
import { policyRoutes } from './policy-routes.ts';

export interface MusterApiDeps extends ResourceDeps {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly fleet: Fleet;
  readonly decisions: Pick<DecisionStore, 'get'>;
  /** The secret of the data folder; compared in constant time. */
  readonly apiToken: string;
}

/** Muster's own API. Everything but the health check is behind the token. */
export function createMusterRoutes(deps: MusterApiDeps): RouteGroup {
  return {
    owns: () => true,
    renderError: renderMusterError,
    routes: [
      health,
      ...behindToken(
        [
          ...dpsRoutes(deps),
          ...policyRoutes(deps),
          ...certificateRoutes(deps.provisioning),
          ...hubRoutes(deps),
          ...fleetRoutes(deps.fleet),
          decisionRoute(deps),
        ],
        deps.apiToken,
      ),
    ],
  };
}

const health: Route = { method: 'GET', path: '/api/v1/health', handle: async () => ({ status: 200, body: { status: 'ok' } }) };

/** Why a device got the answer that it got: its tracking id resolves to the trace. */
function decisionRoute({ decisions }: Pick<MusterApiDeps, 'decisions'>): Route {
  return {
    method: 'GET',
    path: '/api/v1/decisions/:trackingId',
    handle: async (request) => {
      const decision = await decisions.get(request.params['trackingId'] ?? '');
      if (decision === undefined) throw new ServiceError('ResourceNotFound', 'No decision is kept under this tracking id.');
      return { status: 200, body: { ...decision, at: new Date(decision.at).toISOString() } };
    },
  };
}
