import type { Hub } from '../../../hub/service.ts';
import type { IdentityPath } from '../../../contracts/hub/identity-path.ts';
import { limits } from '../../../contracts/limits.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { Ids } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { assertNever } from '../../../kernel/assert-never.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { AmqpBinding, AmqpConnection, AmqpLink, LinkHandler } from '../engine/binding.ts';
import type { AmqpErrors } from '../errors.ts';
import { type HubAddress, parseHubAddress, type ServiceNode } from './address.ts';
import { createCbs } from './cbs.ts';
import { createCredentials, type Credentials } from './credentials.ts';
import { DeviceSession, requireRole } from './device-session.ts';
import { attachService } from './service-links.ts';
import { ServiceSession } from './service-session.ts';
import type { TokenScope } from './token-scope.ts';

export interface HubBindingDeps {
  readonly hub: Pick<Hub, 'hubs' | 'devicePlane' | 'deviceMessages' | 'cloudToDevice' | 'feedback' | 'authorize' | 'openServiceSession'>;
  readonly errors: AmqpErrors;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
}

/** Whether an address is one of a hub's; the others belong to the provisioning service. */
export const isHubAddress = (address: string): boolean => parseHubAddress(address) !== undefined;

/** A hub over one connection (hub chapters 4 and 7). Each link is authorised; a connection may carry several devices. */
export function createHubBinding(deps: HubBindingDeps, connection: AmqpConnection): AmqpBinding {
  const credentials = createCredentials({ ...deps.hub, clock: deps.clock }, connection);
  const sessions = new Map<string, DeviceSession>();
  const services = new Map<string, ServiceSession>();
  const cbs = createCbs({
    errors: deps.errors,
    async putToken(sasToken) {
      const scope = await credentials.judge(sasToken);
      const service = scope.kind === 'hub' ? services.get(scope.hub) : undefined;
      await renewSessions({ scope, credentials, sessions: [...sessions.values()], service });
      connection.settle();
    },
  });

  const devices: Devices = {
    deps,
    connection,
    credentials,
    sessions,
    hasServices: () => [...services.values()].some(({ isEmpty }) => !isEmpty),
  };

  const serviceOf = (hub: string): ServiceSession => {
    const known = services.get(hub);
    if (known !== undefined) return known;
    const session = new ServiceSession({
      connection,
      errors: deps.errors,
      join: (joining) => deps.hub.openServiceSession(credentials.serviceProof(hub), joining),
      isAlone: () => sessions.size === 0,
    });
    services.set(hub, session);
    return session;
  };

  return {
    async attach(link) {
      const address = parseHubAddress(link.address);
      switch (address?.kind) {
        case 'cbs':
          return cbs.attach(link);
        case 'device':
          requireRole(link, address);
          return await attachDevice(link, address);
        case 'service':
          return await attachServiceLink({ deps, connection, credentials, serviceOf }, link, address.node);
        case undefined:
          throw new ServiceError('AmqpAddressNotFound', 'There is nothing at this address.');
        default:
          return assertNever(address);
      }
    },
    closed() {
      for (const session of sessions.values()) session.end();
    },
  };

  async function attachDevice(link: AmqpLink, address: Extract<HubAddress, { kind: 'device' }>): Promise<LinkHandler> {
    const hub = await findHub(deps.hub.hubs, [connection.hostName, connection.peer.serverName, address.host]);
    const session = await sessionOf(devices, hub, address.path);
    return await session.attach(link, address.endpoint);
  }
}

/** The devices of one connection. */
interface Devices {
  readonly deps: HubBindingDeps;
  readonly connection: AmqpConnection;
  readonly credentials: Credentials;
  /** By hub and device. */
  readonly sessions: Map<string, DeviceSession>;
  /** Whether services have links on it, too. */
  readonly hasServices: () => boolean;
}

/** The session of a device, opened with what the connection has shown for it. Throws as `authenticate`, or `TooManySessions`. */
async function sessionOf(devices: Devices, hub: string, deviceId: IdentityPath): Promise<DeviceSession> {
  const { deps, connection, credentials, sessions } = devices;
  const key = JSON.stringify([hub, deviceId]);
  const open = sessions.get(key);
  if (open !== undefined) return open;
  if (sessions.size >= limits.amqpDevices) throw new ServiceError('TooManySessions', 'This connection carries too many devices.');
  const grant = await credentials.grantFor(hub, deviceId);
  const session = await DeviceSession.open(
    {
      ...deps,
      devicePlane: deps.hub.devicePlane,
      deviceMessages: deps.hub.deviceMessages,
      connection,
      isAlone: () => !devices.hasServices() && credentials.isFor(hub, deviceId) && [...sessions.keys()].every((other) => other === key),
      onEnd: () => void sessions.delete(key),
    },
    grant,
  );
  sessions.set(key, session);
  return session;
}

async function attachServiceLink(
  opened: {
    readonly deps: HubBindingDeps;
    readonly connection: AmqpConnection;
    readonly credentials: Credentials;
    readonly serviceOf: (hub: string) => ServiceSession;
  },
  link: AmqpLink,
  node: ServiceNode,
): Promise<LinkHandler> {
  const { deps, connection, credentials, serviceOf } = opened;
  const hub = await findHub(deps.hub.hubs, [connection.hostName, connection.peer.serverName]);
  const handler = await attachService({ ...deps, authorize: () => credentials.authorizeService(hub) }, hub, { link, node });
  const session = serviceOf(hub);
  const closed = (): void => {
    session.remove(link);
    handler.closed?.();
  };
  try {
    await session.add(link);
  } catch (thrown) {
    closed();
    throw thrown;
  }
  return { ...handler, closed };
}

/** A token that is put again carries on the sessions that it covers (hub chapter 4.3); if it does not, it is not kept. */
async function renewSessions({
  scope,
  credentials,
  sessions,
  service,
}: {
  readonly scope: TokenScope;
  readonly credentials: Credentials;
  readonly sessions: readonly DeviceSession[];
  readonly service: ServiceSession | undefined;
}): Promise<void> {
  if (scope.kind === 'device') {
    const { grant } = scope;
    const session = sessions.find((open) => open.grant.hub === grant.hub && open.grant.deviceId === grant.deviceId);
    await session?.renew(grant);
    credentials.keep(scope);
    return;
  }
  credentials.keep(scope);
  if (service !== undefined && !service.isEmpty) await service.renew();
  for (const session of sessions.filter((open) => open.grant.hub === scope.hub && open.grant.scope === 'hub')) {
    await session.renew(await credentials.grantFor(session.grant.hub, session.grant.deviceId));
  }
}

/** By the host name that the peer opened with, else by SNI, else by the link's own address. */
async function findHub(hubs: Hub['hubs'], hosts: readonly (string | undefined)[]): Promise<string> {
  for (const host of hosts) {
    const found = host === undefined || host === '' ? undefined : await hubs.byHost(host);
    if (found !== undefined) return found.name;
  }
  throw new ServiceError('IotHubNotFound', 'No hub has the host name that this connection was opened with.');
}
