import type { Operators } from '../../../operators/operators.ts';
import { createTokenBody } from './audit-bodies.ts';
import { readBody } from './bodies.ts';
import type { MusterRoute } from './muster-route.ts';

/** Operators' tokens. */
export function tokenRoutes(operators: Operators): readonly MusterRoute[] {
  return [
    { method: 'GET', path: '/api/v1/operator', handle: async ({ operator }) => ({ status: 200, body: operator }) },
    { method: 'GET', path: '/api/v1/tokens', handle: async () => ({ status: 200, body: await operators.list() }) },
    {
      method: 'POST',
      path: '/api/v1/tokens',
      handle: async (request) => {
        const { expiresAt, ...wanted } = await readBody(request, createTokenBody);
        const ending = expiresAt === undefined ? {} : { expiresAt };
        return { status: 200, body: await operators.create({ ...wanted, ...ending }, request.cause) };
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/tokens/:id',
      handle: async (request) => ({ status: 200, body: await operators.revoke(request.params['id'] ?? '', request.cause) }),
    },
  ];
}
