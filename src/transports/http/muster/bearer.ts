import type { OperatorRole } from '../../../contracts/operators.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import { isEnough, type Operators } from '../../../operators/operators.ts';
import { causeOf } from '../cause.ts';
import type { HttpRequest, Route } from '../engine/route.ts';
import type { MusterRoute } from './muster-route.ts';
import type { Operations } from './openapi/operation.ts';

/** Puts the check of token and role in front of every route, before anything of the request is read. */
export function behindRoles(
  routes: readonly MusterRoute[],
  { operators, operations }: { readonly operators: Pick<Operators, 'authenticate'>; readonly operations: Operations },
): readonly Route[] {
  return routes.map((route) => {
    // A route that nobody gave a role is for those who may do everything.
    const { role: wanted = 'admin' } = operations[`${route.method} ${route.path}`] ?? {};
    return {
      ...route,
      handle: async (request) => {
        if (wanted === 'anyone') throw new Error(`bug: ${route.path} is for anyone, and stands behind the check`);
        const token = readBearer(request);
        const operator = await operators.authenticate({ ...(token === undefined ? {} : { token }), address: request.peer.remoteAddress });
        if (!isEnough(operator.role, wanted)) throw notEnough(operator.role, wanted);
        return route.handle({ ...request, operator, cause: causeOf(request, { kind: 'operator', name: operator.name }) });
      },
    };
  });
}

function readBearer(request: HttpRequest): string | undefined {
  return /^Bearer +(\S+)$/iu.exec(request.header('authorization') ?? '')?.[1];
}

function notEnough(role: OperatorRole, wanted: OperatorRole): ServiceError {
  return new ServiceError('GenericForbidden', `This needs the role ${wanted}; the token has the role ${role}.`);
}
