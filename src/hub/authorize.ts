import { checkSharedAccess, type SharedAccessRefusal, type SharedAccessVerdict } from '../access/shared-access.ts';
import { createRefusedSignIns } from '../audit/refused-sign-ins.ts';
import type { Clock, Instant } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { requireHub } from './lookup.ts';
import type { HubPolicyRow, HubStorage } from './ports.ts';
import type { Hub, HubRight } from './service.ts';
import { policyStamp } from './stamps.ts';

/** Whether a policy's token lets its bearer do something (chapter 2.1). Who brings one that is not good is told of. */
export function createAuthorize(deps: AuthorizeDeps): Hub['authorize'] {
  const refusedSignIns = createRefusedSignIns(deps);
  return async ({ peer, ...request }) => {
    const { name, policies } = await policiesOf(deps, request.hub);
    const verdict = judge(policies, request, deps.clock.now());
    if (verdict.ok) return verdict.keyName;
    // Whoever brings none does not sign in, and whoever lacks a right has done so.
    if (verdict.reason !== 'missing' && verdict.reason !== 'right') {
      const { transport, remoteAddress: address } = peer;
      await refusedSignIns.note({ at: { id: 'hub-service', scope: name }, transport, address, reason: verdict.reason });
    }
    throw refusal(verdict.reason, request.right);
  };
}

interface AuthorizeDeps {
  readonly storage: HubStorage;
  readonly clock: Clock;
}

type PolicyRequest = Omit<Parameters<Hub['authorize']>[0], 'peer'>;

/** The same, and what the token was good for: the stamp of the key that signed it, and its end. */
export async function judgePolicyToken(
  deps: AuthorizeDeps,
  request: PolicyRequest,
): Promise<{ readonly keyName: string; readonly stamp: string; readonly expiresAt: Instant }> {
  const { name, policies } = await policiesOf(deps, request.hub);
  const verdict = judge(policies, request, deps.clock.now());
  if (!verdict.ok) throw refusal(verdict.reason, request.right);
  const { keyName, expiresAt } = verdict;
  const key = policies.find((policy) => policy.keyName === keyName)?.[verdict.key] ?? '';
  return { keyName, stamp: policyStamp(name, keyName, key), expiresAt };
}

async function policiesOf({ storage }: Pick<AuthorizeDeps, 'storage'>, hub: string) {
  const { name } = await requireHub(storage.read.hubs, hub);
  return { name, policies: await storage.read.hubs.policies(name) };
}

function judge(policies: readonly HubPolicyRow[], { authorization, host, path, right }: PolicyRequest, now: Instant): SharedAccessVerdict {
  return checkSharedAccess({ authorization, policies, resource: `${host}${path}`, rights: sufficientFor(right), now });
}

/** Any one of these is enough. */
function sufficientFor(right: HubRight): readonly HubRight[] {
  return right === 'RegistryRead' ? ['RegistryRead', 'RegistryWrite'] : [right];
}

function refusal(reason: SharedAccessRefusal, right: HubRight): ServiceError {
  if (reason === 'right') {
    return new ServiceError('GenericForbidden', `The shared access policy does not have the right ${right} that this request needs.`, {
      detail: reason,
    });
  }
  const sentence = reason === 'missing' ? 'Authorization header missing' : 'Unauthorized';
  return new ServiceError('IotHubUnauthorizedAccess', sentence, { detail: reason });
}
