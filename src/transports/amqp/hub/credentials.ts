import { parseSasToken } from '../../../access/sas-token.ts';
import { limits } from '../../../contracts/limits.ts';
import type { DeviceGrant, Hub, ServiceProof } from '../../../hub/service.ts';
import type { Clock, Instant } from '../../../kernel/clock.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpConnection } from '../engine/binding.ts';
import { judgeTokenScope, type TokenScope } from './token-scope.ts';

/** What a connection has shown so far, and for whom (hub chapters 2.2, 2.3 and 4.3). */
export interface Credentials {
  /** Judges a token by its own resource: the name that a client gives differs between SDKs. Throws as `authenticate`. */
  judge(sasToken: string): Promise<TokenScope>;
  /** Remembers a token for links that come later; a newer one replaces it. */
  keep(scope: TokenScope): void;
  /** Whether the tokens for single devices are all for this one. */
  isFor(hub: string, deviceId: string): boolean;
  /** The proof of a device: its put-token, a hub-wide one, SASL PLAIN, or the client certificate, in this order. */
  grantFor(hub: string, deviceId: string): Promise<DeviceGrant>;
  /** Whether what was shown lets a service use this hub now. Throws as `authorize`. */
  authorizeService(hub: string): Promise<void>;
  /** What a service has shown for this hub; not judged. */
  serviceProof(hub: string): ServiceProof;
}

const keyOf = (hub: string, deviceId: string): string => JSON.stringify([hub, deviceId]);

export function createCredentials(
  deps: Pick<Hub, 'hubs' | 'devicePlane' | 'authorize'> & { readonly clock: Clock },
  connection: AmqpConnection,
): Credentials {
  const grants = new Map<string, DeviceGrant>();
  const hubTokens = new Map<string, string>();
  const authenticate = async (hub: string, deviceId: string, sasToken: string | undefined): Promise<DeviceGrant> =>
    await deps.devicePlane.authenticate({
      hub,
      deviceId,
      credentials: sasToken === undefined ? { certificates: connection.certificates } : { certificates: [], sasToken },
      peer: connection.peer,
    });

  const serviceProof = (hub: string): ServiceProof => {
    const authorization = hubTokens.get(hub) ?? connection.plain?.password;
    return { hub, host: authorization === undefined ? '' : hostOf(authorization), authorization };
  };

  return {
    judge: (sasToken) => judgeTokenScope({ ...deps, authenticate, peer: connection.peer }, sasToken),
    keep(scope) {
      if (scope.kind === 'hub') {
        hubTokens.set(scope.hub, scope.sasToken);
        return;
      }
      const key = keyOf(scope.grant.hub, scope.grant.deviceId);
      if (!grants.has(key) && grants.size >= limits.amqpDevices) forgetExpired(grants, deps.clock.now());
      if (!grants.has(key) && grants.size >= limits.amqpDevices) {
        throw new ServiceError('TooManySessions', 'This connection carries tokens for too many devices.');
      }
      grants.set(key, scope.grant);
    },
    isFor: (hub, deviceId) => [...grants.keys()].every((key) => key === keyOf(hub, deviceId)),
    async grantFor(hub, deviceId) {
      const kept = grants.get(keyOf(hub, deviceId));
      if (kept !== undefined) return kept;
      return await authenticate(hub, deviceId, hubTokens.get(hub) ?? connection.plain?.password);
    },
    async authorizeService(hub) {
      await deps.authorize({ ...serviceProof(hub), path: '/messages/events', right: 'ServiceConnect', peer: connection.peer });
    },
    serviceProof,
  };
}

/** A connection that carries devices for months sees many come and go. */
function forgetExpired(grants: Map<string, DeviceGrant>, now: Instant): void {
  for (const [key, { expiresAt }] of grants) if (expiresAt !== undefined && expiresAt <= now) grants.delete(key);
}

const hostOf = (sasToken: string): string => parseSasToken(sasToken)?.resource.split('/')[0] ?? '';
