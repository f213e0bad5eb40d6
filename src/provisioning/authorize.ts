import { checkSharedAccess } from '../access/shared-access.ts';
import { createRefusedSignIns } from '../audit/refused-sign-ins.ts';
import type { Clock } from '../kernel/clock.ts';
import { ServiceError } from '../kernel/service-error.ts';
import { describeRule, judgeAddress } from './ip-filter.ts';
import type { ProvisioningStorage } from './ports.ts';
import type { Quotas } from './quotas.ts';
import type { Provisioning } from './service.ts';

/** Lets a service request in: by the IP filter of the instance, then by its shared access signature and quotas. */
export function createAuthorize({
  storage,
  clock,
  quotas,
}: {
  readonly storage: ProvisioningStorage;
  readonly clock: Clock;
  readonly quotas: Quotas;
}): Provisioning['authorize'] {
  const refusedSignIns = createRefusedSignIns({ storage, clock });
  return async ({ instance, authorization, host, path, remoteAddress, right }) => {
    const ipFilterRules = (await storage.read.instances.get(instance))?.ipFilterRules ?? [];
    const address = judgeAddress(ipFilterRules, { target: 'serviceApi', remoteAddress });
    // The rule is for the log; whoever is kept out learns nothing of it (6.4).
    if (!address.accepted) {
      throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail: `Kept out by the ${describeRule(address.rule)}.` });
    }
    const policies = await storage.read.instances.policies(instance);
    const verdict = checkSharedAccess({ authorization, policies, resource: `${host}${path}`, rights: [right], now: clock.now() });
    if (verdict.ok) {
      quotas.serviceOperation(instance);
      return verdict.keyName;
    }
    // Whoever brings no token does not sign in, and whoever lacks a right has done so.
    if (verdict.reason !== 'missing' && verdict.reason !== 'right') {
      const at = { id: 'dps-service', scope: instance };
      await refusedSignIns.note({ at, transport: 'https', address: remoteAddress, reason: verdict.reason });
    }
    // Which policy has which right is told to those who hold its key; everybody else learns nothing.
    if (verdict.reason === 'right') throw new ServiceError('DpsForbidden', `The policy of this token does not have the right ${right}.`);
    throw new ServiceError('DpsUnauthorized', 'Unauthorized', { detail: `Shared access signature: ${verdict.reason}.` });
  };
}
