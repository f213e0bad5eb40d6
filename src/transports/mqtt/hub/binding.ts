import { type IdentityPath, idsOf } from '../../../contracts/hub/identity-path.ts';
import { limits } from '../../../contracts/limits.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { CutReason } from '../../../hub/ports.ts';
import type { DeviceGrant, Hub } from '../../../hub/service.ts';
import type { ConnectRequest, MqttBinding, MqttLink, MqttSession } from '../engine/binding.ts';
import type { ErrorDeps } from '../errors.ts';
import { Devicebound } from './devicebound.ts';
import { createMethodTopics } from './methods.ts';
import { createHubSession, type HubSessionDeps } from './session.ts';
import { renderDesiredTopic } from './topics.ts';
import { parseHubUserName } from './user-name.ts';
import { readWillMessage } from './will.ts';

export interface HubBindingDeps extends ErrorDeps {
  readonly hub: Pick<Hub, 'hubs' | 'devicePlane' | 'deviceMessages' | 'subscriptions'>;
}

/** A hub's device side over MQTT (reference chapter 3). */
export function createHubBinding(deps: HubBindingDeps): MqttBinding {
  return {
    name: 'hub',
    claims: (userName) => userName.indexOf('/') > 0,
    connect: (request, link) => openHubSession(deps, request, link),
  };
}

async function openHubSession(deps: HubBindingDeps, request: ConnectRequest, link: MqttLink): Promise<MqttSession> {
  const deviceId = parsePath(request.clientId);
  const host = parseHubUserName(request.userName, request.clientId);
  const will = request.will && readWillMessage(request.will, deviceId);
  const hub = await findHub(deps.hub, host, request.peer.serverName);
  const { peer, certificates, password } = request;
  const credentials = { certificates, ...(password !== undefined && { sasToken: password }) };
  const grant = await deps.hub.devicePlane.authenticate({ hub, deviceId, credentials, peer });
  const methods = createMethodTopics(link);
  const cut: { reason?: CutReason } = {};
  const leave = await deps.hub.devicePlane.openSession(grant, {
    peer,
    cut(reason) {
      cut.reason ??= reason;
      return link.cut(reason);
    },
    notifyDesired(patch) {
      const version = patch['$version'];
      if (typeof version !== 'number') throw new Error('a desired-properties notification without a $version');
      link.deliver({ topic: renderDesiredTopic(version), payload: Buffer.from(JSON.stringify(patch)) });
    },
    callMethod: (call, signal) => methods.call(call, signal),
  });
  try {
    const kept = await recall(deps, grant, request);
    const devicebound = new Devicebound({ link, deviceMessages: deps.hub.deviceMessages, grant, log: deps.log });
    const { devicePlane } = deps.hub;
    return createHubSession({ ...deps, ...kept, devicePlane, devicebound, methods, grant, leave, will, cutReason: () => cut.reason });
  } catch (thrown) {
    leave();
    throw thrown;
  }
}

/** What the client left, and how it is kept; a clean session forgets what there is, and keeps nothing [MQTT-3.1.2-6]. */
async function recall(
  { hub: { subscriptions } }: HubBindingDeps,
  grant: DeviceGrant,
  { clean }: ConnectRequest,
): Promise<Pick<HubSessionDeps, 'keep' | 'stored'>> {
  if (!clean) return { keep: (wanted) => subscriptions.keep(grant, wanted), stored: await subscriptions.load(grant) };
  await subscriptions.keep(grant, new Map());
  return { keep: undefined, stored: undefined };
}

function parsePath(clientId: string): IdentityPath {
  const { deviceId, moduleId = '' } = idsOf(clientId);
  if (deviceId.length > limits.deviceIdLength || moduleId.length > limits.deviceIdLength) {
    throw new ServiceError('ArgumentInvalid', 'The client id is too long for {deviceId} or {deviceId}/{moduleId}.');
  }
  return clientId;
}

/** By the host of the user name, with or without a port, else by the name that TLS asked for. Returns the hub's name. */
async function findHub({ hubs }: Pick<Hub, 'hubs'>, host: string, serverName: string | undefined): Promise<string> {
  const named = await hubs.byHost(host);
  const found = named ?? (serverName === undefined ? undefined : await hubs.byHost(serverName));
  if (found === undefined) throw new ServiceError('IotHubNotFound', 'No hub has the host name of this user name.');
  return found.name;
}
