import type { JsonObject } from '../../../kernel/json.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { EventList } from '../../../events/event-list.ts';
import type { Fleet } from '../../../fleet/service.ts';
import type { Hub } from '../../../hub/service.ts';
import type { DecisionStore } from '../../../provisioning/ports.ts';
import type { Provisioning } from '../../../provisioning/service.ts';
import type { Route, RouteGroup } from '../engine/route.ts';
import { renderMusterError } from '../errors.ts';
import type { Operators } from '../../../operators/operators.ts';
import type { AuditTrail } from '../../../audit/trail.ts';
import type { RefusalFeed } from '../../../refusals/refusal-feed.ts';
import { auditRoutes } from './audit-routes.ts';
import { behindRoles } from './bearer.ts';
import { certificateRoutes } from './certificate-routes.ts';
import { dpsRoutes, type ResourceDeps } from './dps-routes.ts';
import { driftRoutes } from './drift-routes.ts';
import { fleetRoutes } from './fleet-routes.ts';
import { hubRoutes } from './hub-routes.ts';
import type { MusterRoute } from './muster-route.ts';
import { describeApi } from './openapi/document.ts';
import { operations } from './openapi/operations.ts';
import { policyRoutes } from './policy-routes.ts';
import { refusalRoutes } from './refusal-routes.ts';
import { shadowRoutes } from './shadow-routes.ts';
import { tokenRoutes } from './token-routes.ts';
import { tripwireRoutes } from './tripwire-routes.ts';
import { whatIfRoutes } from './what-if-routes.ts';

export interface MusterApiDeps extends ResourceDeps {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly fleet: Fleet;
  readonly decisions: Pick<DecisionStore, 'get'>;
  readonly operators: Operators;
  readonly audit: AuditTrail;
  readonly refusals: RefusalFeed;
  readonly events: EventList;
}

/** Muster's own API. Everything but the health check is behind a token, and each route has its role. */
export function createMusterRoutes(deps: MusterApiDeps): RouteGroup {
  return {
    owns: () => true,
    renderError: renderMusterError,
    routes: [health, ...behindRoles(operatorRoutes(deps), { operators: deps.operators, operations })],
  };
}

function operatorRoutes(deps: MusterApiDeps): readonly MusterRoute[] {
  return [
    ...dpsRoutes(deps),
    ...policyRoutes(deps),
    ...shadowRoutes(deps.provisioning),
    ...certificateRoutes(deps.provisioning),
    ...hubRoutes(deps),
    ...fleetRoutes(deps.fleet),
    ...whatIfRoutes(deps.fleet.whatIf),
    ...driftRoutes(deps.fleet.drift),
    ...auditRoutes(deps.audit),
    ...tokenRoutes(deps.operators),
    ...refusalRoutes(deps.refusals),
    ...tripwireRoutes(deps.fleet, deps.events),
    decisionRoute(deps),
    openApiRoute(),
  ];
}

const health: Route = { method: 'GET', path: '/api/v1/health', handle: async () => ({ status: 200, body: { status: 'ok' } }) };

function openApiRoute(): MusterRoute {
  // Made when somebody asks: a start has better things to do.
  let document: JsonObject | undefined;
  return {
    method: 'GET',
    path: '/api/v1/openapi.json',
    handle: async () => ({ status: 200, body: (document ??= describeApi(operations, 'v1')) }),
  };
}

/** Why a device got the answer that it got: its tracking id resolves to the trace. */
function decisionRoute({ decisions }: Pick<MusterApiDeps, 'decisions'>): MusterRoute {
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
