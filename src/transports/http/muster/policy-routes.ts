import type { Precondition } from '../../../kernel/precondition.ts';
import type { AccessPolicies, Provisioning } from '../../../provisioning/service.ts';
import type { HttpAnswer, HttpMethod, HttpRequest } from '../engine/route.ts';
import { createPolicyBody, readBody, renewKeyBody, updatePolicyBody } from './bodies.ts';
import type { ResourceDeps } from './dps-routes.ts';
import { ifMatch } from './if-match.ts';
import type { MusterRoute } from './muster-route.ts';

const all = '/api/v1/dps/:name/policies';
const one = `${all}/:keyName`;

/**
 * Shared access policies of a provisioning service, keys included: whoever has the token of the data folder owns them all.
 * `If-Match` is the entity tag of the provisioning service, where it is sent.
 */
export function policyRoutes({
  provisioning,
  onKeysChanged,
}: Pick<ResourceDeps, 'onKeysChanged'> & { readonly provisioning: Pick<Provisioning, 'policies' | 'as'> }): readonly MusterRoute[] {
  const { policies } = provisioning;
  const changing = (method: HttpMethod, path: string, work: PolicyWork): MusterRoute => ({
    method,
    path,
    handle: async (request) => {
      const answer = await work({ ...address(request), request, policies: provisioning.as(request.cause).policies });
      await onKeysChanged();
      return answer;
    },
  });
  return [
    { method: 'GET', path: all, handle: async (request) => ({ status: 200, body: await policies.list(address(request).name) }) },
    {
      method: 'GET',
      path: one,
      handle: async (request) => {
        const { name, keyName } = address(request);
        return { status: 200, body: await policies.get(name, keyName) };
      },
    },
    changing('POST', all, async ({ request, policies: own, name, precondition }) => {
      const { keyName, ...policy } = await readBody(request, createPolicyBody);
      return { status: 200, body: await own.create(name, keyName, { ...policy, precondition }) };
    }),
    changing('PATCH', one, async ({ request, policies: own, name, keyName, precondition }) => {
      const change = await readBody(request, updatePolicyBody);
      return { status: 200, body: await own.update(name, keyName, { ...change, precondition }) };
    }),
    changing('POST', `${one}/renew-key`, async ({ request, policies: own, name, keyName, precondition }) => {
      const { key } = await readBody(request, renewKeyBody);
      return { status: 200, body: await own.renewKey(name, keyName, { key, precondition }) };
    }),
    changing('DELETE', one, async ({ policies: own, name, keyName, precondition }) => {
      await own.delete(name, keyName, precondition);
      return { status: 204 };
    }),
  ];
}

type PolicyWork = (order: Address & { readonly request: HttpRequest; readonly policies: AccessPolicies }) => Promise<HttpAnswer>;

interface Address {
  readonly name: string;
  readonly keyName: string;
  readonly precondition: Precondition;
}

function address(request: HttpRequest): Address {
  return { name: request.params['name'] ?? '', keyName: request.params['keyName'] ?? '', precondition: ifMatch(request) };
}
