import type { Precondition } from '../../../kernel/precondition.ts';
import type { Provisioning } from '../../../provisioning/service.ts';
import type { HttpAnswer, HttpRequest, Route } from '../engine/route.ts';
import { createPolicyBody, readBody, renewKeyBody, updatePolicyBody } from './bodies.ts';
import type { ResourceDeps } from './dps-routes.ts';
import { ifMatch } from './if-match.ts';

const all = '/api/v1/dps/:name/policies';
const one = `${all}/:keyName`;

/**
 * Shared access policies of a provisioning service, keys included: whoever has the token of the data folder owns them all.
 * `If-Match` is the entity tag of the provisioning service, where it is sent.
 */
export function policyRoutes({
  provisioning: { policies },
  onKeysChanged,
}: Pick<ResourceDeps, 'onKeysChanged'> & { readonly provisioning: Pick<Provisioning, 'policies'> }): readonly Route[] {
  const changing = (method: Route['method'], path: string, work: (request: HttpRequest, at: Address) => Promise<HttpAnswer>): Route => ({
    method,
    path,
    handle: async (request) => {
      const answer = await work(request, address(request));
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
    changing('POST', all, async (request, { name, precondition }) => {
      const { keyName, ...policy } = await readBody(request, createPolicyBody);
      return { status: 200, body: await policies.create(name, keyName, { ...policy, precondition }) };
    }),
    changing('PATCH', one, async (request, { name, keyName, precondition }) => {
      const change = await readBody(request, updatePolicyBody);
      return { status: 200, body: await policies.update(name, keyName, { ...change, precondition }) };
    }),
    changing('POST', `${one}/renew-key`, async (request, { name, keyName, precondition }) => {
      const { key } = await readBody(request, renewKeyBody);
      return { status: 200, body: await policies.renewKey(name, keyName, { key, precondition }) };
    }),
    changing('DELETE', one, async (_request, { name, keyName, precondition }) => {
      await policies.delete(name, keyName, precondition);
      return { status: 204 };
    }),
  ];
}

interface Address {
  readonly name: string;
  readonly keyName: string;
  readonly precondition: Precondition;
}

function address(request: HttpRequest): Address {
  return { name: request.params['name'] ?? '', keyName: request.params['keyName'] ?? '', precondition: ifMatch(request) };
}
