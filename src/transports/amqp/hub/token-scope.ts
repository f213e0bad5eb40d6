import { parseSasToken } from '../../../access/sas-token.ts';
import { pathsOf, type ResourcePath } from '../../../access/token-paths.ts';
import { identityPath } from '../../../contracts/hub/identity-path.ts';
import type { PeerInfo } from '../../../contracts/transport.ts';
import type { DeviceGrant, Hub } from '../../../hub/service.ts';
import { ServiceError } from '../../../kernel/service-error.ts';

/** What a put-token came to: a proof for one device, or for all devices of a hub. */
export type TokenScope =
  | { readonly kind: 'device'; readonly grant: DeviceGrant }
  | { readonly kind: 'hub'; readonly hub: string; readonly sasToken: string };

interface ScopeDeps extends Pick<Hub, 'hubs' | 'authorize'> {
  authenticate(hub: string, deviceId: string, sasToken: string): Promise<DeviceGrant>;
  readonly peer: PeerInfo;
}

/** What a token is for, by its own resource, and whether it is good for that. Throws as `authenticate` and `authorize`. */
export async function judgeTokenScope(deps: ScopeDeps, sasToken: string): Promise<TokenScope> {
  const { hub, paths } = await locate(deps.hubs, sasToken);
  let refusal = new ServiceError('IotHubUnauthorized', 'Encode the whole resource of this token.');
  for (const path of paths) {
    const judged = await judgeAs(deps, { ...hub, authorization: sasToken }, path).catch(asRefusal);
    if (!(judged instanceof ServiceError)) return judged;
    // What the likeliest reading of the resource came to is what is told.
    if (path === paths[0]) refusal = judged;
  }
  throw refusal;
}

interface TokenHub {
  readonly hub: string;
  readonly host: string;
}

async function locate(hubs: Hub['hubs'], sasToken: string): Promise<{ readonly hub: TokenHub; readonly paths: readonly ResourcePath[] }> {
  const token = parseSasToken(sasToken);
  const [host = ''] = token?.resource.split('/') ?? [];
  if (token === undefined || host === '') throw new ServiceError('IotHubUnauthorized', 'This is not a shared access signature.');
  const hub = await hubs.byHost(host);
  if (hub === undefined) throw new ServiceError('IotHubNotFound', 'No hub has the host name that this token is for.');
  return { hub: { hub: hub.name, host }, paths: pathsOf(token) };
}

type HubToken = TokenHub & { readonly authorization: string };

async function judgeAs(deps: ScopeDeps, token: HubToken, path: ResourcePath): Promise<TokenScope> {
  const { hub, authorization: sasToken } = token;
  const [root, deviceId, more, moduleId] = path;
  if (root?.toLowerCase() !== 'devices' || deviceId === undefined) {
    await requireAnyRight(deps, token);
    return { kind: 'hub', hub, sasToken };
  }
  const isModule = more?.toLowerCase() === 'modules' && moduleId !== undefined;
  return { kind: 'device', grant: await deps.authenticate(hub, identityPath({ deviceId, ...(isModule ? { moduleId } : {}) }), sasToken) };
}

/** A token for a whole hub may be a service's or that of a gateway for its devices. Each use of it is judged again. */
async function requireAnyRight({ authorize, peer }: Pick<ScopeDeps, 'authorize' | 'peer'>, token: HubToken): Promise<void> {
  try {
    await authorize({ ...token, path: '/devices', right: 'DeviceConnect', peer });
  } catch (thrown) {
    if (!(thrown instanceof ServiceError)) throw thrown;
    await authorize({ ...token, path: '/messages/events', right: 'ServiceConnect', peer });
  }
}

function asRefusal(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  throw error;
}
